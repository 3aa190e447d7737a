package sample

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// Class is the result of the examination of a file that may be damaged.
type Class string

// The classes. Those after Detected break a promise.
const (
	Harmless   Class = "harmless"   // every answer is right, and Verify finds nothing
	Detected   Class = "detected"   // Open, a read, Verify or the log reports damage
	Fabricated Class = "fabricated" // a read returned events that were never written
	Silent     Class = "silent"     // something is missing, and nothing reports it
	Untyped    Class = "untyped"    // an error that a caller cannot match
	Spread     Class = "spread"     // an append destroyed data that could be read before, without a report of damage
	Blind      Class = "blind"      // a read reports damage, and Verify does not
)

// Outcome is the result of an examination.
type Outcome struct {
	Class  Class
	By     string // what noticed: open, read, log, verify, append
	Detail string
	// Verified: Verify found something. Appended: the file accepted another event.
	// Worse: after that, less could be read.
	Verified, Appended, Worse bool
}

// Examine opens the file, asks all questions and verifies it. If the file is open
// for writing, it appends an event, opens the file again and asks again.
func (s *Sample) Examine(ctx context.Context, path string, readOnly bool) Outcome {
	x := &examination{sample: s, path: path, log: &warnings{}}
	x.options = &boltstore.Options{ReadOnly: readOnly, Logger: slog.New(x.log)}
	return x.run(ctx)
}

type examination struct {
	sample  *Sample
	path    string
	options *boltstore.Options
	log     *warnings

	answers    []Answer
	findings   []string
	verified   boltstore.VerifyReport
	rolledBack bool // the last transaction is missing
	appended   bool
	clash      error // the error of an append that was refused by a condition that holds
}

func (x *examination) run(ctx context.Context) Outcome {
	store, err := boltstore.Open(x.path, x.options)
	if err != nil {
		if typed(err) {
			return Outcome{Class: Detected, By: "open", Detail: err.Error()}
		}
		return Outcome{Class: Untyped, By: "open", Detail: err.Error()}
	}
	x.answers = x.sample.Ask(ctx, store)
	if earlier := x.sample.before(); headOf(ctx, store) == len(earlier.Events) {
		// Either the whole last transaction is missing, or only its last record.
		if answers := earlier.Ask(ctx, store); worstOf(answers).Verdict < worstOf(x.answers).Verdict {
			x.rolledBack, x.sample, x.answers = true, earlier, answers
		}
	}
	x.findings, x.verified, err = verify(ctx, store)
	spread := ""
	if err == nil && !x.options.ReadOnly {
		spread, err = x.append(ctx, store)
	} else {
		err = errors.Join(err, store.Close())
	}
	return x.judge(spread, err)
}

// judge returns the outcome: the worst class that applies.
func (x *examination) judge(spread string, err error) Outcome {
	worst := worstOf(x.answers)
	o := Outcome{Verified: len(x.findings) > 0, Appended: x.appended, Worse: spread != "", Detail: worst.Question + ": " + worst.Detail}
	noticed := len(x.findings) > 0 || len(x.log.lines()) > 0
	refused := slices.IndexFunc(x.answers, func(a Answer) bool { return a.Err != nil && !typed(a.Err) })
	switch {
	case worst.Verdict == Wrong:
		o.Class, o.By = Fabricated, "read"
	case err != nil && !typed(err):
		o.Class, o.By, o.Detail = Untyped, "append", err.Error()
	case refused >= 0:
		o.Class, o.By, o.Detail = Untyped, "read", x.answers[refused].Question+": "+x.answers[refused].Err.Error()
	case worst.Verdict == Missing && !noticed:
		o.Class, o.By = Silent, "read"
	case x.rolledBack && !noticed:
		o.Class, o.By, o.Detail = Silent, "open", "the last transaction is not there"
	case x.clash != nil && !noticed:
		o.Class, o.By, o.Detail = Silent, "append", x.clash.Error()
	case spread != "" && !noticed:
		o.Class, o.By, o.Detail = Spread, "append", spread
	case worst.Verdict == Refused && !noticed:
		o.Class, o.By, o.Detail = Blind, "verify", worst.Question+": "+worst.Err.Error()
	case worst.Verdict == Refused:
		o.Class, o.By, o.Detail = Detected, "read", worst.Question+": "+worst.Err.Error()
	case len(x.findings) > 0:
		o.Class, o.By, o.Detail = Detected, "verify", x.findings[0]
	case len(x.log.lines()) > 0:
		o.Class, o.By, o.Detail = Detected, "log", x.log.lines()[0]
	case err != nil:
		o.Class, o.By, o.Detail = Detected, "append", err.Error()
	default:
		o.Class, o.By, o.Detail = Harmless, "", ""
	}
	return o
}

func worstOf(answers []Answer) Answer {
	return slices.MaxFunc(answers, func(a, b Answer) int { return int(a.Verdict) - int(b.Verdict) })
}

// append appends to the store, closes it and opens it again. It returns what was
// right before and is not any more, or what is missing of the append.
func (x *examination) append(ctx context.Context, store *boltstore.Store) (spread string, err error) {
	commit := eventstore.Commit{
		Key:    "after the damage",
		Events: []eventstore.NewEvent{{Stream: "cart-0", ID: newID(1), Type: "type-0", Data: []byte("more"), Tags: []eventstore.Tag{"tag:1"}}},
		Expect: []eventstore.Expect{{Stream: "cart-0", At: eventstore.At(x.sample.Version("cart-0"))}},
	}
	head := eventstore.Position(headOf(ctx, store))
	receipt, appendErr := store.Append(ctx, commit)
	if err := store.Close(); err != nil {
		return "", err
	}
	if errors.Is(appendErr, eventstore.ErrConflict) {
		x.clash, appendErr = appendErr, nil
	}
	if appendErr == nil && x.clash == nil {
		x.appended = true
		if receipt.First != head+1 {
			return fmt.Sprintf("appended at position %d after head %d", receipt.First, head), nil
		}
	}
	if head != eventstore.Position(len(x.sample.Events)) {
		return "", appendErr // the end is missing, so positions have another meaning now
	}
	return x.again(ctx, commit, receipt), appendErr
}

// again opens the file a second time and compares the answers with the first ones.
func (x *examination) again(ctx context.Context, commit eventstore.Commit, receipt eventstore.Receipt) string {
	known := *x.sample
	if x.appended {
		known.Events, known.Keys = slices.Clone(known.Events), maps.Clone(known.Keys)
		known.note(commit, receipt)
	}
	store, err := boltstore.Open(x.path, x.options)
	if err != nil {
		return "open again: " + err.Error()
	}
	after := make(map[string]Answer)
	for _, a := range known.Ask(ctx, store) {
		after[a.Question] = a
	}
	_, verified, err := verify(ctx, store)
	if err := errors.Join(err, store.Close()); err != nil {
		return "verify and close again: " + err.Error()
	}
	if lost := x.lost(verified); lost != "" {
		return lost
	}
	for _, before := range x.answers {
		a := after[before.Question]
		if a.Verdict == Refused && typed(a.Err) {
			// On a damaged page it is random which search meets the damage, and a
			// binary search may meet it now. Nothing is missing, though.
			continue
		}
		if before.Verdict == Right && a.Verdict != Right {
			return fmt.Sprintf("%s: after an append %s%v", a.Question, a.Detail, a.Err)
		}
	}
	if a := after["look up "+commit.Key]; x.appended && a.Verdict >= Missing {
		return "what was appended is not there: " + a.Detail
	}
	return ""
}

// Grow appends a commit to the store, and returns a sample of the log with it.
func (s *Sample) Grow(ctx context.Context, store eventstore.Store) (*Sample, error) {
	grown := *s
	grown.Events, grown.Keys = slices.Clone(s.Events), maps.Clone(s.Keys)
	return &grown, grown.append(ctx, store, eventstore.Commit{
		Key:    fmt.Sprint("grown after ", len(s.Events)),
		Expect: []eventstore.Expect{{Stream: "cart-0", At: eventstore.At(s.Version("cart-0"))}},
		Events: []eventstore.NewEvent{{Stream: "cart-0", ID: newID(uint64(len(s.Events))), Type: "type-0", Data: []byte("more"), Tags: []eventstore.Tag{"tag:1"}}},
	})
}

// lost returns an error text if fewer events and rows are intact after an append.
func (x *examination) lost(after boltstore.VerifyReport) string {
	events := x.verified.Events
	if x.appended {
		events++
	}
	if after.Events < events || after.Rows < x.verified.Rows {
		return fmt.Sprintf("%d events and %d rows were whole, after an append %d and %d are",
			x.verified.Events, x.verified.Rows, after.Events, after.Rows)
	}
	return ""
}

// headOf returns the store's head, or -1.
func headOf(ctx context.Context, store eventstore.Store) int {
	head, err := store.Head(ctx)
	if err != nil {
		return -1
	}
	return int(head)
}

// Typed reports whether a caller can match the error.
func Typed(err error) bool { return typed(err) }

func typed(err error) bool {
	for _, known := range []error{eventstore.ErrCorrupt, eventstore.ErrFormat, eventstore.ErrReadOnly, eventstore.ErrFailed, eventstore.ErrUnknownOutcome} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
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
