package rows

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Commits are the events of commits that a view takes, in the order in which they are
// applied.
type Commits interface {
	// Len returns how many commits there are.
	Len() int
	// First returns the position and the type of a commit's first event.
	First(i int) (eventstore.Position, string)
	// Load returns the events of a commit. It is called on the view's goroutine.
	Load(i int) ([]eventstore.Event, error)
}

// OneCommit is the events of one commit, at least one, as Commits.
type OneCommit []eventstore.Event

// Len implements Commits.
func (c OneCommit) Len() int { return 1 }

// First implements Commits.
func (c OneCommit) First(int) (eventstore.Position, string) { return c[0].Position, c[0].Type }

// Load implements Commits.
func (c OneCommit) Load(int) ([]eventstore.Event, error) { return c, nil }

// Application is a view's Apply at work on commits, on a goroutine of its own.
//
// The view's code is the application's, so a store does not trust it. The goroutine
// applies the commits one by one, each to a buffer of its own, and the store waits until
// the view's time is up. The writes of a commit that succeeds are merged into the rows of
// all commits. The writes of a commit that ends with an error or a panic, or after the
// view's time, are dropped, and no later commit is begun. A goroutine that does not return
// is abandoned: its buffer is closed, and its next read or write ends with an error.
type Application struct {
	ctx     context.Context // ends when the view's time is up
	cancel  context.CancelFunc
	apply   func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error
	commits Commits
	pause   time.Time     // begin no commit after this time; zero: begin all
	done    chan struct{} // closed when the goroutine ends

	mu    sync.Mutex // locked before those of the buffers
	over  bool       // nothing that the goroutine does counts any more
	all   *Buffer
	tx    *Buffer // of the commit being applied, over all
	good  int     // commits that succeeded, and are in all
	fault error   // of the first that did not
}

// Start begins to apply commits to base, until end at the latest. The context must carry
// nothing of a caller's. After pause, if that is not the zero Time, no further commit is begun: a
// view with much to catch up with must not overrun for that alone.
func Start(ctx context.Context, v eventstore.InlineView, base Base, commits Commits, end, pause time.Time) *Application {
	a := &Application{apply: v.Apply, commits: commits, pause: pause, all: New(base), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithDeadlineCause(ctx, end, ErrOverrun)
	go a.run()
	return a
}

// Buffer returns the rows of the commits that succeeded, over the base. It may be read
// after Wait.
func (a *Application) Buffer() *Buffer { return a.all }

// run is the view's goroutine.
func (a *Application) run() {
	defer close(a.done)
	for i := range a.commits.Len() {
		if i > 0 && !a.pause.IsZero() && time.Now().After(a.pause) {
			return
		}
		tx := a.begin()
		if tx == nil || !a.end(tx, a.one(tx, i)) {
			return
		}
	}
}

// begin returns the buffer of the next commit, or nil if the application is over.
func (a *Application) begin() *Buffer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil
	}
	a.tx = New(a.all)
	return a.tx
}

// end notes the outcome of a commit, and reports whether the next may begin.
func (a *Application) end(tx *Buffer, fault error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	if fault == nil {
		fault = a.all.Merge(tx)
	}
	if fault != nil {
		a.fault = fault
		return false
	}
	a.good++
	return true
}

// one applies the i-th commit to tx, which it closes.
func (a *Application) one(tx *Buffer, i int) (fault error) {
	defer func() {
		tx.Close()
		if r := recover(); r != nil {
			fault = panicked(r)
		}
	}()
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	events, err := a.commits.Load(i)
	if err != nil {
		return err
	}
	err = a.apply(a.ctx, tx, events)
	if err != nil && a.ctx.Err() != nil { // perhaps for that reason; if not, it fails in time the next time
		return context.Cause(a.ctx)
	}
	return err
}

// Applied is the outcome of an Application.
type Applied struct {
	// Good is the number of commits that succeeded, and Rows are the rows that they put.
	Good int
	Rows []eventstore.Row
	// Fault is the fault of the first commit that failed, nil if there is none. Cause is
	// the error that it was made from.
	Fault *eventstore.Fault
	Cause error
	// Overrun is true if the fault is that the view's time was up.
	Overrun bool
	paused  bool // the end of that time was noticed so late that the process was not running
}

// Ended returns a channel that is closed when the view's goroutine has ended.
func (a *Application) Ended() <-chan struct{} { return a.done }

// Wait returns when the goroutine has ended or its time is up.
func (a *Application) Wait() Applied {
	defer a.cancel()
	select {
	case <-a.done:
	case <-a.ctx.Done():
	}
	fault := a.stop()
	if a.tx != nil {
		a.tx.Close() // the goroutine reaches all through it alone
	}
	result := Applied{Good: a.good, Rows: a.all.Rows()}
	if fault != nil {
		position, kind := a.commits.First(a.good)
		result.Fault, result.Cause = NewFault(position, kind, fault), fault
		end, _ := a.ctx.Deadline()
		result.Overrun = errors.Is(fault, ErrOverrun)
		result.paused = result.Overrun && time.Since(end) > pauseSlack
	}
	return result
}

// stop ends the application at the commit that it is at, and returns the fault of that
// commit, if the application has not just paused.
func (a *Application) stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if a.fault != nil || a.good == a.commits.Len() {
		return a.fault
	}
	select {
	case <-a.done:
	default:
		return context.Cause(a.ctx)
	}
	if a.pause.IsZero() || a.good == 0 {
		return ErrExited
	}
	return nil
}
