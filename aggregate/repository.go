package aggregate

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/payload"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Options are the options of a repository and of Decisions. Nil and the zero Options mean
// the defaults.
type Options struct {
	// MaxAttempts is the number of times that Execute decides and appends one command
	// while others append to the same stream. 0 means 10, 1 means no retry; a negative
	// number is ErrInvalid.
	//
	// After a conflict a caller queues with the others that conflict on the stream,
	// or on the query of a decision, and so do callers that come later. So with one
	// Repository, or one Decisions, shared by all callers, more than one conflict is
	// rare, whatever their number. A conflict with other writers is retried at once
	// the first time, then after a random time of at most 1 ms, 2 ms, 4 ms … 128 ms.
	MaxAttempts int
	// CacheSize is the number of states that a repository whose decider has a Clone
	// keeps in memory: those that were used last. 0 means 1,000; a negative number
	// keeps none. Each state is brought up to date from the log before it is used.
	// Decisions ignore it.
	CacheSize int
	// Snapshots have a repository store states beside the log. Nil means none.
	// Decisions ignore it.
	Snapshots *Snapshots
	// Hooks are called around reads and appends. Nil means none.
	Hooks *Hooks
	// Digest returns bytes that identify what a command asks for, so that a command id
	// that was used for another command is a [*CommandIDError], and not taken for a
	// repeat. They must be the same whenever the command is sent: leave out a time that
	// is taken anew. Nil is [CommandDigest]; [NoDigest] tells no commands apart. It is
	// called only for commands with an id, and must be safe for concurrent use by
	// multiple goroutines.
	Digest func(cmd any) ([]byte, error)
}

const (
	defaultMaxAttempts = 10
	defaultCacheSize   = 1_000
)

// Repository loads and changes the aggregates of one category. It is safe for concurrent
// use by multiple goroutines if the decider's functions are, which pure functions are. It
// starts no goroutines and needs no closing.
type Repository[S, C, E any] struct {
	store       eventstore.Store
	registry    *codec.Registry
	decider     Decider[S, C, E]
	maxAttempts int
	hooks       Hooks
	digest      func(cmd any) ([]byte, error)
	queues      *queues
	cache       *cache[S]            // nil if no states are kept
	snapshots   *snapshots           // nil if there are none
	states      *payload.Codec[S]    // of the snapshots
	origin      *Repository[S, C, E] // the repository that NewRepository returned
}

// NewRepository returns a repository over the store, which the caller closes. All faults
// are returned at once, in an error that matches [eventstore.ErrInvalid]: a store that is
// nil or a nil pointer, a nil registry or function, an invalid category, options out of
// range, snapshots on a store that is no [eventstore.RowStore] or of a state that JSON cannot
// read back, and a registry without an event of type E.
func NewRepository[S, C, E any](
	store eventstore.Store, registry *codec.Registry, decider Decider[S, C, E], opts *Options,
) (*Repository[S, C, E], error) {
	if opts == nil {
		opts = &Options{}
	}
	r := &Repository[S, C, E]{store: store, registry: registry, decider: decider, maxAttempts: opts.MaxAttempts, queues: new(queues)}
	r.origin = r
	if r.maxAttempts == 0 {
		r.maxAttempts = defaultMaxAttempts
	}
	if r.digest = opts.Digest; r.digest == nil {
		r.digest = CommandDigest
	}
	if r.decider.Initial == nil {
		r.decider.Initial = func() (zero S) { return zero }
	}
	if opts.Hooks != nil {
		r.hooks = *opts.Hooks
	}
	r.cache = newCache(decider.Clone, opts.CacheSize)
	var unusable error
	if opts.Snapshots != nil {
		r.snapshots, unusable = newSnapshots(store, decider.Category, reflect.TypeFor[S](), *opts.Snapshots)
		r.states = payload.For[S]()
	}
	if err := errors.Join(r.faults(), unusable); err != nil {
		return nil, fmt.Errorf("new repository of category %s: %w: %w", quote.Name(decider.Category), eventstore.ErrInvalid, err)
	}
	return r, nil
}

// WithMaxAttempts returns a repository that attempts each command at most n times, and at
// least once. In all else it is r, whose cache and queues it shares.
func (r *Repository[S, C, E]) WithMaxAttempts(n int) *Repository[S, C, E] {
	other := *r
	other.maxAttempts = max(n, 1)
	return &other
}

// Stream returns the name of the aggregate's stream: the category, a dash, the id. It does
// not check the id, which must not be empty.
func (r *Repository[S, C, E]) Stream(id string) eventstore.StreamID {
	return eventstore.StreamID(r.decider.Category + "-" + id)
}

// stream is Stream with a check of the id.
func (r *Repository[S, C, E]) stream(id string) (eventstore.StreamID, error) {
	if id == "" {
		return "", fmt.Errorf("%w: the id of the aggregate is empty (category %s)", eventstore.ErrInvalid, quote.Name(r.decider.Category))
	}
	return r.Stream(id), nil
}

// faults returns the faults of the arguments of NewRepository.
func (r *Repository[S, C, E]) faults() error {
	var faults []error
	fault := func(wrong bool, message string) {
		if wrong {
			faults = append(faults, errors.New(message))
		}
	}
	if err := given.Store(r.store); err != nil {
		faults = append(faults, err)
	}
	fault(r.registry == nil, "the registry is nil")
	fault(r.decider.Decide == nil, "Decide is nil")
	fault(r.decider.Evolve == nil, "Evolve is nil")
	fault(r.maxAttempts < 0, "MaxAttempts is negative")

	category, limit := r.decider.Category, eventstore.StandardLimits().NameBytes-len("-x")
	fault(category == "", "Category is empty")
	fault(strings.Contains(category, "-"), "Category contains a dash")
	fault(strings.Contains(category, "\x00"), "Category contains NUL")
	fault(!utf8.ValidString(category), "Category is not UTF-8")
	fault(len(category) > limit, fmt.Sprintf("Category has %d bytes, at most %d", len(category), limit))

	if err := reserved.Stream(category); err != nil {
		fault(true, "Category: "+err.Error())
	}

	if r.registry != nil {
		event := reflect.TypeFor[E]()
		if _, err := vocabulary.New(r.registry).Types(event); err != nil {
			faults = append(faults, fmt.Errorf("the event type %v: %w", event, err))
		}
	}
	return errors.Join(faults...)
}
