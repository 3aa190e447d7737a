package projection

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/fold"
)

// Projection defines a read model: the events that it takes, the handlers that apply
// them, and the tables that the handlers write. Make one with [New], and declare its tables,
// indexes and handlers before it is used. From then on it is safe for concurrent use by
// multiple goroutines if its handlers are. A [Host] keeps it in a store.
type Projection struct {
	// OnFailure is the policy for an event that cannot be applied. The zero value is
	// Stop.
	OnFailure FailurePolicy
	// Timeout bounds the time that the handlers of an attached projection may take
	// for all commits that are written together, whatever the number of their events.
	// 0 means [eventstore.DefaultTimeout], 1 second. One that takes longer is late until
	// it has caught up (see [Host.Attach]).
	Timeout time.Duration

	name     string
	version  uint32
	handlers []handler
	tables   []*tableShape
	declared func() tables // the description of tables, computed at the first use

	lastPointer atomic.Pointer[knownPointer]
}

// FailurePolicy is the behaviour of a projection that cannot apply an event: its handler
// returns an error or panics, or the event cannot be decoded. The handler's writes for the
// event are dropped. An error of the store does not count as a failure of the event, so no
// event is skipped because of one.
type FailurePolicy uint8

const (
	// Stop stops the projection with a *HandlerError. The events before are applied,
	// and the next run begins with the same event.
	Stop FailurePolicy = iota
	// Retry tries the same event again, after [Options].MinBackoff at first, then
	// after twice as long each time, until it can be applied or the context of the
	// run ends. In Rebuild, Build and Attach, which do not wait, Retry is Stop.
	Retry
	// Skip goes on with the next event. [Status] lists the skipped events.
	Skip
)

// handler applies the events of one Go type.
type handler struct {
	event reflect.Type // nil for a handler without a function
	apply func(tx Tx, e fold.Event[any]) error
}

func (h handler) Type() reflect.Type { return h.event }

// tableShape is the part of a table's declaration that the stored rows depend on.
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

// New returns a projection without tables and handlers. Its name identifies the read model
// in the store and never changes: 1 to 200 bytes of UTF-8 without NUL or "@". The version,
// 1 or more, must be raised whenever the handlers change, so that the read model is built
// again.
func New(name string, version uint32) *Projection {
	p := &Projection{name: name, version: version}
	p.declared = sync.OnceValue(func() tables { return tablesOf(p.tables) })
	return p
}

// On adds a handler for the events of the Go type T, and for older events that the
// registry's upcasters make into a T. An interface stands for all registered types that
// implement it: registering another one changes which events the projection takes, so its
// version has to be raised. A type has at most one handler.
//
// If an upcaster splits an event, the handler is called with each part, in order, and with
// the same stored event; an event that an upcaster drops is passed over. The handler reads
// and writes the projection's tables through tx, and does nothing else, because it may be
// called again for the same event after its writes were dropped.
//
// A handler must not append to the store: each rebuild would append again. The handlers of
// an attached projection run while the store writes: an append with tx.Context() is
// ErrInvalid at once; with another context the append and the handler would wait for each
// other until the projection's Timeout ends, again and again, which is a fault in the end.
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
