package storetest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// harness has the store of a rule, and a testing.TB that the rule may use without limits.
// The rule runs on a goroutine of its own, so that a store that does not answer fails the
// rule and does not hang the test: the rule announces each call of the store with step. If
// no step follows in time, the harness gives the rule up, and the rule's goroutine ends at
// its next report.
type harness struct {
	testing.TB
	cfg      Config
	patience time.Duration
	store    eventstore.Store
	ctx      context.Context // ends with the rule
	moved    chan struct{}   // a step was announced

	mu        sync.Mutex
	doing     string // a format, without its arguments
	doingArgs []any
	givenUp   bool
	skipped   string
	closed    map[eventstore.Store]bool // closed by the rule itself
	atEnd     []func()                  // run when the rule ends, on its goroutine
}

// check opens a store and runs the rule on it.
func check(tb testing.TB, cfg Config, r rule, patience time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h := &harness{
		TB: tb, cfg: cfg, patience: patience, ctx: ctx,
		moved: make(chan struct{}, 1), closed: make(map[eventstore.Store]bool),
	}
	h.store = h.adopt(cfg.Open(tb))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer h.end()
		defer h.panicked()
		r.hold(h)
	}()
	if h.watch(done) && h.skipped != "" {
		tb.Skip(h.skipped)
	}
}

// watch waits until the rule is done, and reports whether it is. It gives the rule
// up if no step follows for too long, or if steps go on without end.
func (h *harness) watch(done <-chan struct{}) bool {
	const longest = 10 // multiple of the patience for one step
	step, whole := time.NewTimer(h.patience), time.NewTimer(longest*h.patience)
	defer step.Stop()
	defer whole.Stop()
	for {
		select {
		case <-done:
			return true
		case <-h.moved:
			step.Reset(h.patience)
		case <-step.C:
			h.giveUp("the store did not answer within %v", h.patience)
			return false
		case <-whole.C:
			h.giveUp("the rule came to no end within %v", longest*h.patience)
			return false
		}
	}
}

func (h *harness) giveUp(format string, after time.Duration) {
	h.mu.Lock()
	h.givenUp = true
	doing := fmt.Sprintf(h.doing, h.doingArgs...)
	h.mu.Unlock()
	h.TB.Errorf(format+"; it was at: %s", after, doing)
}

// step announces what the rule does next, for the message if it does not return.
func (h *harness) step(format string, args ...any) {
	h.mu.Lock()
	h.doing, h.doingArgs = format, args
	h.mu.Unlock()
	select {
	case h.moved <- struct{}{}:
	default:
	}
}

// panicked reports a panic as a failure of this rule only. A rule may rely on the
// events that it wrote, which a broken store may lose.
func (h *harness) panicked() {
	if fault := recover(); fault != nil && !h.isGivenUp() {
		h.TB.Errorf("the rule panicked: %v\n%s", fault, debug.Stack())
	}
}

// end runs atEnd.
func (h *harness) end() {
	for _, f := range h.atEnd {
		f()
	}
}

// adopt makes the suite close the store at the end of the rule.
func (h *harness) adopt(s eventstore.Store) eventstore.Store {
	h.Cleanup(func() {
		done := make(chan error, 1)
		go func() {
			if h.cfg.Verify != nil && !h.isGivenUp() && !h.closed[s] {
				h.cfg.Verify(h.TB, s)
			}
			done <- s.Close()
		}()
		select {
		case err := <-done:
			if err != nil {
				h.TB.Errorf("closing the store at the end of the rule: %v", err)
			}
		case <-time.After(h.patience):
			h.TB.Errorf("Close at the end of the rule did not return within %v", h.patience)
		}
	})
	return s
}

// closeStore closes the store before the rule ends.
func (h *harness) closeStore() {
	h.Helper()
	h.step("Close")
	h.closed[h.store] = true
	if err := h.store.Close(); err != nil {
		h.Fatalf("Close: expected no error, found %v", err)
	}
}

// reopen closes the store and opens its log again. If Config has no Reopen, it skips
// the rule.
func (h *harness) reopen() {
	h.Helper()
	if h.cfg.Reopen == nil {
		h.Skip("the store cannot be reopened (Config.Reopen is nil)")
	}
	h.closeStore()
	h.step("opening the log again")
	h.store = h.adopt(h.cfg.Reopen(h, h.store))
}

// gapless skips the rule on a store that leaves gaps between positions.
func (h *harness) gapless() {
	if !h.store.Info().Gapless {
		h.Skip("the store leaves gaps between positions (Info().Gapless is false)")
	}
}

func (h *harness) isGivenUp() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.givenUp
}

// report ends the goroutine of a rule that was given up, since its test may be over.
func (h *harness) report() {
	if h.isGivenUp() {
		runtime.Goexit()
	}
}

// Errorf fails the rule, which goes on.
func (h *harness) Errorf(format string, args ...any) {
	h.Helper()
	h.report()
	h.TB.Errorf(format, args...)
}

// Error fails the rule, which goes on.
func (h *harness) Error(args ...any) {
	h.Helper()
	h.report()
	h.TB.Error(args...)
}

// Fatalf fails the rule and ends it.
func (h *harness) Fatalf(format string, args ...any) {
	h.Helper()
	h.Errorf(format, args...)
	runtime.Goexit()
}

// Fatal fails the rule and ends it.
func (h *harness) Fatal(args ...any) {
	h.Helper()
	h.Error(args...)
	runtime.Goexit()
}

// FailNow fails the rule and ends it.
func (h *harness) FailNow() {
	h.report()
	h.Fail()
	runtime.Goexit()
}

// Skip ends the rule and reports why it does not apply.
func (h *harness) Skip(args ...any) {
	h.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

// Skipf ends the rule and reports why it does not apply.
func (h *harness) Skipf(format string, args ...any) { h.Skip(fmt.Sprintf(format, args...)) }

// SkipNow ends the rule.
func (h *harness) SkipNow() { h.Skip("skipped by the store's own Config") }
