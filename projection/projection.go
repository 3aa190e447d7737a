package projection

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/fold"
)

// Projection defines a read model: which events it takes, what they mean, and
// the tables that they are written to. Make one with [New], then declare tables,
// indexes and handlers, before it is used; from then on it is safe for
// concurrent use by multiple goroutines if its handlers are. A [Host] keeps it in
// a store.
type Projection struct {
	// OnFailure says what becomes of an event that cannot be applied; the
	// default is Stop.
	OnFailure FailurePolicy
	// Timeout is how long the handlers may take, when the projection is
	// attached, for all commits that are written together, whatever number of
	// events they have; 0 is [eventstore.DefaultTimeout], 1 second.
	Timeout time.Duration

	name     string
	version  uint32
	handlers []handler
	tables   []*tableShape
	declared func() tables // of the tables and indexes, once they are declared

	lastPointer atomic.Pointer[knownPointer]
}

// FailurePolicy says what becomes of an event that a projection cannot apply: its
// handler returns an error or panics, or the event cannot be decoded. Whatever
// the handler wrote for that event is forgotten. An error of the store is not
// the event's fault and never leads to one being skipped.
type FailurePolicy uint8

const (
	// Stop stops the projection with a *HandlerError. The events before are
	// applied, and the same event is the next one when it is run again.
	Stop FailurePolicy = iota
	// Retry tries the same event again, at first after [Options].MinBackoff, then
	// after twice as long each time, until it can be applied or the context of
	// the run ends. Rebuild, Build and Attach do not wait: there Retry is Stop.
	Retry
	// Skip goes on with the next event. Status lists what was skipped.
	Skip
)

// handler applies the events of one Go type.
type handler struct {
	event reflect.Type // nil for one without a function
	apply func(tx Tx, e fold.Event[any]) error
}

func (h handler) Type() reflect.Type { return h.event }

// tableShape is what of a table's declaration matters to what is stored.
type tableShape struct {
	name    string
	key     reflect.Type
	faults  []error // of the declaration
	indexes []indexShape
}

type indexShape struct {
	name   string
	key    reflect.Type
	unique bool
}

// New begins the definition of a projection. Its name is that of the read model
// in the store, for ever: 1 to 200 bytes of UTF-8 without NUL or "@". The version,
// 1 or more, must rise whenever what the handlers do changes, so that the read
// model is built anew.
func New(name string, version uint32) *Projection {
	p := &Projection{name: name, version: version}
	p.declared = sync.OnceValue(func() tables { return tablesOf(p.tables) })
	return p
}

// On says what the projection does with the events of the Go type T, and with older
// events that the registry's upcasters make into a T. An interface stands for all
// registered types that implement it: to register another one changes which events the
// projection takes, so its version has to be raised. A type has one handler at most.
//
// Each part of an event that was split is handled in turn, with the same stored
// event; an event that was dropped is passed over. The handler reads and writes the
// projection's tables through tx, and nothing else: it may be called again for the
// same event, with everything it wrote before forgotten.
//
// A handler must not append to the store. It would do so again with every rebuild;
// and of a projection that is attached, handlers run while the store writes: with
// tx.Context() the append is ErrInvalid at once, with another context it would wait
// for the handler, and the handler for it, until the projection's Timeout makes that
// a fault.
func On[T any](p *Projection, handle func(tx Tx, e fold.Event[T]) error) {
	var h handler
	if handle != nil {
		h.event = reflect.TypeFor[T]()
		h.apply = func(tx Tx, e fold.Event[any]) error {
			return handle(tx, fold.Event[T]{Event: e.Event, Data: e.Data.(T)})
		}
	}
	p.handlers = append(p.handlers, h)
}

// Name returns the projection's name.
func (p *Projection) Name() string { return p.name }
