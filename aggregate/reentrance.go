package aggregate

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// The application's functions must be pure. A command that a Decide executes is carried out
// again whenever the outer one is decided again, and on the aggregate that is being decided it
// would wait for a turn that comes after its own. So a command that is executed within a Decide
// is refused, and so is a load within an Evolve that would wait for itself.
//
// A Decide has no context that could tell of the outer call, so the stack does: asDecide and
// asRead are functions that do little else than be on it. It is looked at only while some Decide
// runs, or if there is something to wait for. What another goroutine does for a Decide is not
// seen.

// deciding is the number of Decides that run now.
var deciding atomic.Int64

// asDecide calls the application's Decide.
//
//go:noinline
func asDecide(decide func()) {
	deciding.Add(1)
	defer deciding.Add(-1)
	decide()
}

// asRead reads an aggregate for the cache, which calls the application's Evolve.
//
//go:noinline
func asRead(read func()) { read() }

var (
	decideEntry = reflect.ValueOf(asDecide).Pointer()
	readEntry   = reflect.ValueOf(asRead).Pointer()
)

// reentered returns an error if the caller is within the Decide of another command.
func reentered() error {
	if deciding.Load() == 0 || !within(decideEntry) {
		return nil
	}
	return fmt.Errorf("%w: it is executed within the Decide of another command: Decide must be pure", eventstore.ErrInvalid)
}

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
