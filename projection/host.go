package projection

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
)

// Host keeps projections in a store: it runs them beside the writers, attaches
// them to the log, rebuilds them, waits for them, and says how they are. Make one
// with [NewHost]. It is safe for concurrent use by multiple goroutines.
//
// One Host is meant to be shared by all of a program: [Host.Wait] and [Host.Ready]
// are woken by what the same Host does.
type Host struct {
	store    eventstore.RowStore
	registry *codec.Registry
	logger   *slog.Logger
	backoff  backoff

	mu       sync.Mutex
	versions map[versionID]*versionState
	waiting  map[string]map[chan<- struct{}]bool // by the name of a projection
}

// Options configure a Host. Nil and the zero Options mean the defaults.
type Options struct {
	// Logger receives what [Host.Run] meets: an event that a projection stopped
	// at, with the stack of a handler that panicked, and failures that are tried
	// again. Nil is slog.Default(); for silence, give one with slog.DiscardHandler.
	Logger *slog.Logger
	// MinBackoff is how long to wait before what has failed is tried again: a
	// projection that is run, or an event by the policy [Retry]. It doubles with
	// each failure in a row, up to MaxBackoff. 0 is 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
}

// backoff is how long to wait before what has failed is tried again.
type backoff struct{ min, max time.Duration }

// NewHost returns a host of projections of the store, with the registry of their
// events. It does not read the store, and ends nothing: the store is the caller's
// to close, after each Run has returned.
//
// A nil store or registry, also one of a nil pointer, and a backoff that is
// negative or has no room up to its maximum are ErrInvalid, all at once.
func NewHost(store eventstore.RowStore, registry *codec.Registry, opts *Options) (*Host, error) {
	if opts == nil {
		opts = &Options{}
	}
	h := &Host{
		store: store, registry: registry, logger: opts.Logger,
		backoff:  backoff{100 * time.Millisecond, 30 * time.Second},
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
	if err := given.Value("the store", store); err != nil {
		faults = append(faults, err)
	}
	if registry == nil {
		faults = append(faults, errors.New("the registry is nil"))
	}
	if opts.MinBackoff < 0 || h.backoff.min > h.backoff.max {
		faults = append(faults, fmt.Errorf("the backoff cannot be from %v to %v", h.backoff.min, h.backoff.max))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: host of projections: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return h, nil
}

// byVersion and byName say which projections are the same one: a run or an
// attached view is of a version, a rebuild is of a name.
func byVersion(p *Projection) versionID { return versionID{p.name, p.version} }
func byName(p *Projection) versionID    { return versionID{name: p.name} }

// define returns the definitions of projections, no two with the same id, or all
// that is wrong with them.
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
			faults = append(faults, invalidf("projection %v is named twice", id(p)))
		}
		seen[id(p)] = true
	}
	return definitions, errors.Join(faults...)
}

// present returns an error if there are no projections, or a nil one: all that is
// asked of those that are only read.
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
