package aggregate

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// The application's functions must be pure. A Decide that executes a command on the aggregate
// that is being decided would wait for a turn that comes after its own; two callers that do so
// with each other's aggregates would wait for each other. So a command is refused if it is
// executed within a Decide, while a Decide is called for its own aggregate: the last command of
// a circle finds that out. An Evolve that loads is refused likewise.
//
// A Decide has no context that could tell of the outer call, so the stack does: asDecide and
// asRead are functions that do nothing else than be on it. It is looked at only if there is
// something to wait for.

// asDecide calls the application's Decide.
//
//go:noinline
func asDecide(decide func()) { decide() }

// asRead reads an aggregate for the cache, which calls the application's Evolve.
//
//go:noinline
func asRead(read func()) { read() }

var (
	decideEntry = reflect.ValueOf(asDecide).Pointer()
	readEntry   = reflect.ValueOf(asRead).Pointer()
)

// within reports whether a function with this entry is on the stack of the goroutine.
func within(entry uintptr) bool {
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		if slices.ContainsFunc(pcs[:n], func(pc uintptr) bool {
			f := runtime.FuncForPC(pc - 1)
			return f != nil && f.Entry() == entry
		}) {
			return true
		}
		if n < len(pcs) {
			return false
		}
	}
}

// deciding calls the application's Decide for a command that is expected to conflict on keys.
func (q *queues) deciding(keys []conflictKey, decide func()) {
	q.mu.Lock()
	if q.decided == nil {
		q.decided = make(map[conflictKey]int)
	}
	for _, key := range keys {
		q.decided[key]++
	}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, key := range keys {
			if q.decided[key]--; q.decided[key] == 0 {
				delete(q.decided, key)
			}
		}
	}()
	asDecide(decide)
}

// reentered returns an error if the caller is within the Decide of a command on one of the
// keys.
func (q *queues) reentered(keys []conflictKey) error {
	q.mu.Lock()
	i := slices.IndexFunc(keys, func(key conflictKey) bool { return q.decided[key] > 0 })
	q.mu.Unlock()
	if i < 0 || !within(decideEntry) {
		return nil
	}
	return fmt.Errorf("%w: it is executed within the Decide of another command on %s, which would have to wait for itself: Decide must be pure",
		eventstore.ErrInvalid, keys[i])
}

// String returns what the key names, for an error.
func (k conflictKey) String() string {
	if k != "" && k[0] == 0 {
		return "the query " + string(k[1:])
	}
	return "stream " + quote.Name(string(k))
}
