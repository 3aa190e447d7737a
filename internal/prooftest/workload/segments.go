package workload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

// Mode is the work of a segment besides appending.
type Mode string

// The modes of segments.
const (
	Plain      Mode = "plain"
	WithInline Mode = "inline" // a view is attached
	WithRows   Mode = "rows"   // a view is brought up to date after each commit
	WithIndex  Mode = "index"  // the index is written all the time, by another goroutine
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{Plain, WithInline, WithRows, WithIndex} }

// Segments is a process that runs short workloads step by step, so that faults can
// be injected in between. It continues after errors as an application does: it tries
// again, and after ErrUnknownOutcome it reopens the store and sends the commit
// again. It must be closed. It is not safe for concurrent use.
type Segments struct{ peer peer }

// NewSegments returns a process that is started when it is needed.
func NewSegments(ctx context.Context, env *proof.Env) *Segments {
	return &Segments{peer{ctx: ctx, env: env, name: serveChild}}
}

// Kill kills the process. It may be called while another goroutine waits for it.
func (s *Segments) Kill() error { return s.peer.kill() }

// Close ends the process.
func (s *Segments) Close() error { return s.peer.close() }

// Met is the errors that an application met since the segment was opened.
type Met struct {
	Refused int // errors after which nothing was appended
	Unknown int // ErrUnknownOutcome
	Opening int // errors of Open

	// Problem describes what the store must not do and did, or is "".
	Problem string

	err error
}

// Err returns why the process did not answer, or what the store must not do and did.
func (m Met) Err() error {
	if m.err == nil && m.Problem != "" {
		return errors.New(m.Problem)
	}
	return m.err
}

// Clean is Err for a segment without faults, which must meet no errors.
func (m Met) Clean() error {
	if err := m.Err(); err != nil {
		return err
	}
	if n := m.Refused + m.Unknown + m.Opening; n > 0 {
		return fmt.Errorf("%d calls of the store returned an error, on a disk without faults", n)
	}
	return nil
}

type segmentRequest struct {
	Do     string // open, append, compact or close
	Dir    string
	Params Params
	Mode   Mode
	N      int
}

// Open opens the store in a directory.
func (s *Segments) Open(dir string, p Params, mode Mode) Met {
	return s.ask(segmentRequest{Do: "open", Dir: dir, Params: p, Mode: mode})
}

// Append appends a number of commits.
func (s *Segments) Append(n int) Met { return s.ask(segmentRequest{Do: "append", N: n}) }

// Compact closes the store, compacts its file, and opens it again.
func (s *Segments) Compact() Met { return s.ask(segmentRequest{Do: "compact"}) }

// Finish closes the store.
func (s *Segments) Finish() Met { return s.ask(segmentRequest{Do: "close"}) }

func (s *Segments) ask(q segmentRequest) (m Met) {
	m.err = s.peer.ask(q, &m)
	return m
}

func serveMain(ctx context.Context, _ []string) error {
	var s *segment
	return answer(func(q segmentRequest) (Met, error) {
		if s == nil && q.Do != "open" {
			return Met{}, fmt.Errorf("%s: no segment is open", q.Do)
		}
		var err error
		switch q.Do {
		case "open":
			if s, err = newSegment(ctx, q); err == nil {
				err = s.open()
			}
		case "append":
			for i := 0; i < q.N && err == nil; i++ {
				err = s.append()
			}
		case "compact":
			err = s.compact()
		case "close":
			err = errors.Join(s.close(), s.marks.Close())
		default:
			return Met{}, fmt.Errorf("no request %q", q.Do)
		}
		if err != nil && s.met.Problem == "" {
			s.met.Problem = err.Error()
		}
		return s.met, nil
	})
}

// segment is a session of an application that continues after errors.
type segment struct {
	*session
	mode Mode
	met  Met
}

// tries is how often an operation is tried. There is one fault at a time, but it may
// be met twice.
const tries = 3

// other is a writer whose commits a failed store refuses.
const other = 8

func newSegment(ctx context.Context, q segmentRequest) (*segment, error) {
	s, err := newSession(ctx, q.Dir, NewScript(q.Params))
	if err == nil && q.Mode == WithIndex {
		s.options.IndexMemory = 1
	}
	return &segment{session: s, mode: q.Mode}, err
}

func (s *segment) open() (err error) {
	for range tries {
		if err = s.session.open(); err != nil {
			s.met.Opening++
			continue
		}
		if s.mode != WithInline {
			return nil
		}
		if err = s.attach(); err == nil {
			return nil
		}
		s.count(err)
		err = errors.Join(err, s.close())
	}
	return fmt.Errorf("open, again and again: %w", err)
}

func (s *segment) count(err error) {
	if errors.Is(err, eventstore.ErrUnknownOutcome) {
		s.met.Unknown++
	} else {
		s.met.Refused++
	}
}

// compact compacts the file of the closed store.
func (s *segment) compact() error {
	if err := s.close(); err != nil {
		return err
	}
	var err error
	for range tries {
		if _, err = boltstore.Compact(s.ctx, filepath.Join(s.dir, LogName), nil); err == nil {
			break
		}
		s.count(err)
	}
	if err := errors.Join(err, s.open()); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return s.readable()
}

// append appends a commit, and does the work of its mode, with retries.
func (s *segment) append() error {
	err := s.insist(func() error {
		_, err := s.session.append(0)
		return err
	})
	if err != nil || s.mode != WithRows {
		return err
	}
	return s.insist(func() error {
		head, err := s.store.Head(s.ctx)
		if err != nil {
			return err
		}
		return s.followRows(head, 100)
	})
}

func (s *segment) insist(do func() error) (err error) {
	for range tries {
		if err = do(); err == nil {
			return nil
		}
		s.count(err)
		if err := s.readable(); err != nil {
			return fmt.Errorf("after an error: %w", err)
		}
		// The outcome of a transaction that writes the index may be unknown too:
		// then the next commit gets the error.
		if !errors.Is(err, eventstore.ErrUnknownOutcome) && !errors.Is(err, eventstore.ErrFailed) {
			continue
		}
		if err := s.refuses(); err != nil {
			return err
		}
		if err := errors.Join(s.close(), s.open()); err != nil {
			return err
		}
	}
	return fmt.Errorf("again and again: %w", err)
}

// readable checks that exactly the acknowledged events can be read.
func (s *segment) readable() error {
	head, err := s.store.Head(s.ctx)
	if err != nil {
		return err
	}
	n := eventstore.Position(0)
	for e, err := range s.store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return err
		}
		n++
		if id, _ := idOf(e.ID); id.N > s.done[id.Writer] {
			return fmt.Errorf("position %d has commit %v, which was not acknowledged", e.Position, id)
		}
	}
	if n != head || n != s.floor {
		return fmt.Errorf("%d events can be read, the head is %d, acknowledged are %d", n, head, s.floor)
	}
	return nil
}

// refuses checks that a store with an unknown outcome refuses commits.
func (s *segment) refuses() error {
	if id, err := s.session.append(other); !errors.Is(err, eventstore.ErrFailed) {
		return fmt.Errorf("append %v after an unknown outcome returned %q, and must return %w", id, fmt.Sprint(err), eventstore.ErrFailed)
	}
	return s.readable()
}
