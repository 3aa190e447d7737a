package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/packs"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const (
	clients     = 8
	clientCalls = 50 // of each client in a segment
	maxKills    = 4
)

// kind is a kind of segment: the place of its store, and the faults that the store meets.
type kind string

const (
	inMemory   kind = "memory" // in this process, the file in memory
	onDisk     kind = "disk"   // in this process, the file on a disk: syncs take their time
	killed     kind = "kill"   // in a child that is killed several times
	withFaults kind = "fault"  // in a child in which some syncs fail
)

// operation is a call and its times, in nanoseconds since the segment began.
type operation struct {
	Client int     `json:"client"`
	Begin  int64   `json:"begin"`
	End    int64   `json:"end"`
	Call   *call   `json:"call"`
	Answer *answer `json:"answer"`
}

// segment is a run of a few hundred calls on a log of its own.
type segment struct {
	env     *proof.Env
	kind    kind
	path    string
	memory  int // Options.IndexMemory: 1 makes the store write the index all the time
	random  *rand.Rand
	start   time.Time
	known   *known
	clients []*client

	mu      sync.Mutex
	history []operation
	unknown []operation // commits without an answer, until the log is read
	kills   int
	packs   int // in the log, at the end

	unanswered int // commits in progress when the process was killed
	doubtful   int // commits with an unknown outcome, because a sync failed
	refused    int // commits that failed because a sync failed
}

// runSegment makes the segment's calls and returns its history for judge. It returns
// an error if a call returned an error that no call may return.
func runSegment(ctx context.Context, env *proof.Env, number int, k kind) (*segment, error) {
	dir := env.Scratch
	if k == onDisk {
		dir = env.Disk
	}
	dir, err := os.MkdirTemp(dir, "segment-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the run's directory is removed at the end
	s := &segment{
		env: env, kind: k, path: filepath.Join(dir, "log.db"), start: time.Now(), known: newKnown(),
		random: env.Rand(uint64(number) * 100),
	}
	s.memory = s.random.IntN(2)
	for id := range clients {
		s.clients = append(s.clients, &client{id: id + 1, random: env.Rand(uint64(number)*100 + uint64(id) + 1), known: s.known})
	}
	if k == killed || k == withFaults {
		err = s.runProcesses(ctx)
	} else {
		err = s.runLocal(ctx)
	}
	if err = errors.Join(err, s.unexpected()); err == nil {
		s.packs, err = packs.Count(s.path)
	}
	return s, err
}

func (s *segment) runLocal(ctx context.Context) error {
	store, err := boltstore.Open(s.path, &boltstore.Options{IndexMemory: s.memory})
	if err != nil {
		return err
	}
	s.runClients(ctx, local{store}, clientCalls, nil)
	s.call(ctx, local{store}, 0, &call{Kind: readCall})
	return store.Close()
}

// runProcesses runs the clients on one child after another. All but the last are
// killed, or have failing syncs.
func (s *segment) runProcesses(ctx context.Context) error {
	kills := 1 + s.random.IntN(maxKills)
	for life := range kills + 1 {
		last := life == kills
		failing := ""
		if s.kind == withFaults && !last {
			failing = fmt.Sprint(2+s.random.IntN(12), pick(s.clients[0], []string{"", "+"}))
		}
		p, err := startProcess(ctx, s.env, s.path, s.memory, failing)
		if err != nil {
			return err
		}
		if err := s.runProcess(ctx, p, clientCalls/(kills+1), failing != "", last); err != nil {
			return err
		}
	}
	return nil
}

// runProcess runs the clients on a child until it ends.
func (s *segment) runProcess(ctx context.Context, p *process, calls int, failing, last bool) error {
	opened := s.recover(ctx, p)
	switch {
	case !opened && failing:
		_ = p.end() // Open met the failing sync and returned it
		return nil
	case !opened:
		return errors.Join(errors.New("the store does not open again"), p.end())
	case s.kind == killed && !last:
		return s.runAndKill(ctx, p, calls)
	}
	s.runClients(ctx, p, calls, nil)
	return p.end()
}

// runAndKill runs the clients until the process is killed.
func (s *segment) runAndKill(ctx context.Context, p *process, calls int) error {
	wait := time.Duration(s.random.IntN(8_000)) * time.Microsecond
	done := make(chan struct{})
	killed := make(chan error, 1)
	go func() {
		time.Sleep(wait)
		killed <- p.kill()
		close(done)
	}()
	s.runClients(ctx, p, calls, done)
	s.kills++
	return <-killed
}

// recover reads the log after a process has gone and settles the commits without an
// answer: those whose events are there happened before the kill, the others never
// did. It reports whether the log could be read.
func (s *segment) recover(ctx context.Context, t target) (opened bool) {
	died := s.now()
	a := s.call(ctx, t, 0, &call{Kind: readCall})
	if a.Unknown {
		return false
	}
	for _, o := range s.unknown {
		if slices.ContainsFunc(a.Seen, func(e seen) bool { return e.ID == o.Call.Commit.Events[0].ID }) {
			o.End = died
			s.history = append(s.history, o)
		}
	}
	s.unknown = nil
	return true
}

// runClients lets each client make a number of calls, or until gone is closed. A
// client ends at the first call without an answer, since no other will have one.
func (s *segment) runClients(ctx context.Context, t target, calls int, gone <-chan struct{}) {
	var wait sync.WaitGroup
	for _, c := range s.clients {
		wait.Go(func() {
			for range calls {
				select {
				case <-gone:
					return
				default:
				}
				if a := s.call(ctx, t, c.id, c.next()); a.Unknown {
					return
				}
			}
		})
	}
	wait.Wait()
}

// call makes one call and notes it.
func (s *segment) call(ctx context.Context, t target, client int, c *call) answer {
	begin := s.now()
	a := t.do(ctx, c)
	o := operation{Client: client, Begin: begin, End: s.now(), Call: c, Answer: &a}
	s.known.learn(&a)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.Unknown && c.Kind == appendCall:
		s.unknown = append(s.unknown, o)
		if s.kind == killed {
			s.unanswered++
		} else {
			s.doubtful++
		}
	case a.Unknown: // a read without an answer tells nothing
	case a.Refused != "" && s.kind == withFaults:
		s.refused++ // nor does a commit that was refused; if it is there, other answers show it
	default:
		s.history = append(s.history, o)
	}
	return a
}

func (s *segment) now() int64 { return time.Since(s.start).Nanoseconds() }

// unexpected returns an error if a call returned an error that no call may return.
func (s *segment) unexpected() error {
	for _, o := range s.history {
		if text := o.Answer.Error + o.Answer.Refused; text != "" {
			return fmt.Errorf("%s: %s", describe(o.Call, o.Answer), text)
		}
	}
	return nil
}
