package projection

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
)

// Host keeps projections in a store: it runs, attaches and rebuilds them, waits for them,
// and reports their status. Make one with [NewHost]. It is safe for concurrent use by
// multiple goroutines.
//
// A program makes one Host and shares it: [Host.Wait] and [Host.Ready] are woken by what
// the same Host does.
type Host struct {
	store    eventstore.RowStore
	registry *codec.Registry
	logger   *slog.Logger
	backoff  backoff
	passes   chan struct{} // has an element for each pass of a Rebuild

	mu       sync.Mutex
	versions map[versionID]*versionState
	waiting  map[string]map[chan<- struct{}]bool // by the name of a projection
}

// Options configure a Host. Nil and the zero Options mean the defaults.
type Options struct {
	// Logger receives the failures of [Host.Run]: the event that a projection
	// stopped at, with the stack if the handler panicked, and errors after which a
	// projection is run again. Nil is slog.Default(); for silence, use
	// slog.DiscardHandler.
	Logger *slog.Logger
	// MinBackoff is the time after which a failed projection is run again, or, by
	// the policy [Retry], an event is tried again. It doubles with each failure in a
	// row, up to MaxBackoff. Zero means 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
}

// minPasses is how many calls of Rebuild read the log at the same time at least. There are no
// more than processors otherwise: further ones would end no earlier, and keep the processors
// from callers that append.
const minPasses = 4

// backoff is the shortest and the longest wait before a retry.
type backoff struct{ min, max time.Duration }

// NewHost returns a host of projections over the store, with the registry of their
// events. It does not read the store. The caller closes the store, after every Run has
// returned; a Host needs no closing.
//
// A nil store, also a nil pointer in the interface, a nil registry, and a backoff that is
// negative or larger than its maximum are ErrInvalid, all at once.
func NewHost(store eventstore.RowStore, registry *codec.Registry, opts *Options) (*Host, error) {
	if opts == nil {
		opts = &Options{}
	}
	h := &Host{
		store: store, registry: registry, logger: opts.Logger,
		backoff:  backoff{100 * time.Millisecond, 30 * time.Second},
		passes:   make(chan struct{}, max(minPasses, runtime.GOMAXPROCS(0))),
		versions: make(map[versionID]*versionState),
		waiting:  make(map[string]map[chan<- struct{}]bool),
	}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	if opts.MinBackoff != 0 {
		h.backoff.min = opts.MinBackoff
	}
	if opts.MaxBackoff != 0 {
		h.backoff.max = opts.MaxBackoff
	}
	var faults []error
	if err := given.Store(store); err != nil {
		faults = append(faults, err)
	}
	if registry == nil {
		faults = append(faults, errors.New("the registry is nil"))
	}
	if opts.MinBackoff < 0 || h.backoff.min > h.backoff.max {
		faults = append(faults, fmt.Errorf("MinBackoff %v is negative or above MaxBackoff %v", h.backoff.min, h.backoff.max))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: host of projections: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return h, nil
}

// byVersion and byName identify projections: two versions of one name can be run or
// attached at the same time, but not rebuilt.
func byVersion(p *Projection) versionID { return versionID{p.name, p.version} }
func byName(p *Projection) versionID    { return versionID{name: p.name} }

// define returns the definitions of projections, no two with the same id, or all their
// faults.
func (h *Host) define(ps []*Projection, id func(*Projection) versionID) ([]*definition, error) {
	var faults []error
	if len(ps) == 0 {
		faults = append(faults, invalidf("no projections"))
	}
	definitions := make([]*definition, len(ps))
	seen := make(map[versionID]bool)
	for i, p := range ps {
		var err error
		if definitions[i], err = p.define(h.registry); err != nil {
			faults = append(faults, err)
			continue
		}
		if seen[id(p)] {
			faults = append(faults, invalidf("projection %v is given twice", id(p)))
		}
		seen[id(p)] = true
	}
	return definitions, errors.Join(faults...)
}

// present returns an error if there are no projections, or a nil one.
func present(ps []*Projection) error {
	if len(ps) == 0 {
		return invalidf("no projections")
	}
	for i, p := range ps {
		if p == nil {
			return invalidf("projection %d of %d is nil", i+1, len(ps))
		}
	}
	return nil
}
