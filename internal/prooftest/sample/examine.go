package sample

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// How says how a file is examined.
type How struct {
	ReadOnly bool
	// Note, if not nil, is called with the name of each call before it is made.
	Note func(string)
}

// Examine opens the file and makes all calls twice: those that read, Verify, and, if the
// file is open for writing, commits that must be refused, one that must not, and a view
// that is attached. It closes the file, opens it for reading and asks again.
func (s *Sample) Examine(ctx context.Context, path string, how How) Outcome {
	x := &examination{sample: s, path: path, log: &warnings{}, note: how.Note}
	x.options = boltstore.Options{ReadOnly: how.ReadOnly, Logger: slog.New(x.log)}
	if x.note == nil {
		x.note = func(string) {}
	}
	x.run(ctx)
	return x.judge()
}

type examination struct {
	sample  *Sample
	path    string
	options boltstore.Options
	log     *warnings
	note    func(string)

	answers  []Answer
	opening  error // of the first Open
	problems []Answer
	verified []boltstore.VerifyReport // of each Verify, in order
	told     bool                     // Info has warnings
	appended bool
	applied  int // rows that the append has added to its inline view, or less
	stopped  bool
}

func (x *examination) run(ctx context.Context) {
	x.note("Open")
	store, err := boltstore.Open(x.path, &x.options)
	if err != nil {
		x.opening = err
		if !typed(err) {
			x.problem("Open", "first", Untyped, err.Error(), "an error of damage")
		}
		return
	}
	x.told = len(store.Info().Warnings) > 0
	first := x.asker(ctx, store, x.sample, "first", "second")
	first.askEvents()
	first.askRows()
	x.answers, x.stopped = first.answers, first.stopped
	for _, when := range first.times {
		x.verify(ctx, store, when)
	}
	known := x.sample
	if !x.options.ReadOnly && !x.stopped {
		known = x.write(ctx, store)
	}
	x.note("Close")
	if err := store.Close(); err != nil && !typed(err) {
		x.problem("Close", "first", Untyped, err.Error(), "nil")
	}
	if !x.stopped {
		x.again(ctx, known)
	}
}

// Ask makes every reading call on a store of the sample's log, and judges each.
func (s *Sample) Ask(ctx context.Context, store eventstore.RowStore) []Answer {
	q := &asker{ctx: ctx, store: store, sample: s, note: func(string) {}, times: []string{"first"}}
	q.askEvents()
	q.askRows()
	return q.answers
}

func (x *examination) asker(ctx context.Context, store eventstore.RowStore, known *Sample, times ...string) *asker {
	return &asker{ctx: ctx, store: store, sample: known, note: x.note, times: times}
}

func (x *examination) problem(call, when string, v Verdict, got, want string) {
	x.problems = append(x.problems, Answer{Call: call, Time: when, Verdict: v, Got: got, Want: want})
}

// verify calls Verify. Damage must not make it fail.
func (x *examination) verify(ctx context.Context, store *boltstore.Store, when string) {
	if x.stopped {
		return
	}
	x.note("Verify (" + when + ")")
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	v, err := store.Verify(ctx, nil)
	switch {
	case ctx.Err() != nil:
		x.stopped = true
		x.problem("Verify", when, Overtime, fmt.Sprint(err), "an answer within "+callTime.String())
	case err != nil:
		x.problem("Verify", when, Untyped, err.Error(), "findings")
	case v.OK() != (len(v.Findings) == 0):
		x.problem("Verify", when, Wrong, fmt.Sprintf("OK is %v beside %d findings", v.OK(), len(v.Findings)), "the same")
	}
	x.verified = append(x.verified, v)
}

// write makes the calls that write. It returns what the log must hold afterwards.
func (x *examination) write(ctx context.Context, store eventstore.RowStore) *Sample {
	q := x.asker(ctx, store, x.sample, "first", "second")
	q.askConditions()
	q.commitRows()
	q.times = q.times[:1]
	attached := !q.stopped && q.attach()
	known := x.sample
	if !q.stopped {
		known, x.appended = q.append()
	}
	x.stopped = q.stopped
	x.answers = append(x.answers, q.answers...)
	if x.appended && attached {
		x.applied = known.bringUp(inline)
	}
	return known
}

// again opens the file for reading and asks once more.
func (x *examination) again(ctx context.Context, known *Sample) {
	x.note("Open (reopened)")
	opts := x.options
	opts.ReadOnly = true
	store, err := boltstore.Open(x.path, &opts)
	if err != nil {
		if !typed(err) {
			x.problem("Open", "reopened", Untyped, err.Error(), "an error of damage")
		}
		return
	}
	q := x.asker(ctx, store, known, "reopened")
	q.askEvents()
	q.askRows()
	x.answers = append(x.answers, q.answers...)
	x.verify(ctx, store, "reopened")
	x.note("Close (reopened)")
	if err := store.Close(); err != nil && !typed(err) {
		x.problem("Close", "reopened", Untyped, err.Error(), "nil")
	}
}

// bringUp notes that a view includes all events. It returns how many rows more the view
// has.
func (s *Sample) bringUp(view eventstore.ViewID) (more int) {
	for i, v := range s.Views {
		if v.ID == view {
			s.Views[i].Checkpoint.Position = eventstore.Position(len(s.Events))
			s.Views[i].Rows = fold.Rows(s.Events)
			more = len(s.Views[i].Rows) - len(v.Rows)
		}
	}
	return more
}

// warnings is a log handler that keeps the messages of level Warn and above.
type warnings struct {
	mu   sync.Mutex
	told []string
}

func (w *warnings) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// Enabled implements [slog.Handler].
func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements [slog.Handler].
func (w *warnings) Handle(_ context.Context, r slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, r.Message)
	return nil
}

// WithAttrs implements [slog.Handler].
func (w *warnings) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements [slog.Handler].
func (w *warnings) WithGroup(string) slog.Handler { return w }
