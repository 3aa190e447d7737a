package linear

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// historyFile is the file of a kept case that has the history.
const historyFile = "history.json"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "linear",
		About:    "8 clients at once, across kills and failing syncs: their calls can be explained one by one",
		Run:      run,
		Replay:   replay,
		Children: map[string]proof.Child{childName: serve},
	}
}

// plan returns the kind of a segment.
func plan(number int, strace bool) kind {
	switch {
	case number%12 == 5:
		return onDisk
	case number%12 == 11 && strace:
		return withFaults
	case number%4 == 3:
		return killed
	default:
		return inMemory
	}
}

// totals are sums over all segments.
type totals struct {
	mu         sync.Mutex
	segments   int
	operations int // in the histories
	commits    int
	packs      int
	conflicts  int
	kills      int
	unanswered int // commits, counted as in a segment
	doubtful   int
	refused    int
	err        error
}

func run(parent context.Context, env *proof.Env) (proof.Figures, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	_, err := exec.LookPath("strace")
	strace := err == nil
	wanted := operations(env)
	var t totals
	var workers sync.WaitGroup
	next := make(chan int)
	for range 2 {
		workers.Go(func() {
			for number := range next {
				if err := t.one(ctx, env, number, plan(number, strace)); err != nil {
					cancel()
				}
			}
		})
	}
	for number := 0; ctx.Err() == nil && t.done() < wanted; number++ {
		next <- number
	}
	close(next)
	workers.Wait()
	if t.err == nil && parent.Err() == nil && t.packs == 0 {
		t.err = errors.New("no log had packs; nothing is proved of them")
	}
	return t.figures(), errors.Join(t.err, parent.Err())
}

// operations returns the number of operations: that of the variable, for a short run
// on a store that is broken on purpose, or else that of the table.
func operations(env *proof.Env) int {
	if n, err := strconv.Atoi(os.Getenv("YORE_PROOF_OPERATIONS")); err == nil {
		return n
	}
	return env.Scale(100_000, 1_000_000)
}

// one runs and judges a segment. It keeps a failing one.
func (t *totals) one(ctx context.Context, env *proof.Env, number int, k kind) error {
	s, err := runSegment(ctx, env, number, k)
	if ctx.Err() != nil {
		return ctx.Err() // another segment has failed
	}
	if err == nil {
		err = judge(s.history)
	}
	if err != nil {
		err = fmt.Errorf("segment %d (%s): %w", number, k, err)
	}
	if err != nil && s != nil {
		err = env.Keep(err, struct {
			Segment int  `json:"segment"`
			Kind    kind `json:"kind"`
		}{number, k}, map[string][]byte{historyFile: []byte(text(s.history))})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.add(s)
	return err
}

func (t *totals) add(s *segment) {
	if s == nil {
		return
	}
	t.segments++
	t.operations += len(s.history)
	t.kills += s.kills
	t.packs += s.packs
	t.unanswered += s.unanswered
	t.doubtful += s.doubtful
	t.refused += s.refused
	for _, o := range s.history {
		if o.Answer.Receipt.First > 0 && o.Call.Kind == appendCall && !o.Answer.Receipt.Repeated {
			t.commits++
		}
		if o.Answer.Conflict != nil {
			t.conflicts++
		}
	}
}

func (t *totals) done() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.operations
}

func (t *totals) figures() proof.Figures {
	return proof.Figures{
		{Name: "operations", Value: t.operations}, {Name: "segments", Value: t.segments}, {Name: "commits", Value: t.commits},
		{Name: "packs", Value: t.packs}, {Name: "conflicts", Value: t.conflicts}, {Name: "kills", Value: t.kills}, {Name: "unanswered", Value: t.unanswered},
		{Name: "unknown_outcomes", Value: t.doubtful}, {Name: "refused", Value: t.refused},
	}
}

// replay judges a kept history again.
func replay(_ context.Context, _ *proof.Env, _ json.RawMessage, dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, historyFile))
	if err != nil {
		return err
	}
	s := &segment{}
	if err := json.Unmarshal(content, &s.history); err != nil {
		return fmt.Errorf("%s: %w", historyFile, err)
	}
	return errors.Join(s.unexpected(), judge(s.history))
}
