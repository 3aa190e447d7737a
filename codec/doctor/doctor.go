package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
)

// Options are options of Examine. Nil and the zero Options mean the defaults.
type Options struct {
	// Query selects the events to examine, by stored names. The zero Query means all
	// events.
	Query eventstore.Query
	// Examples is the number of events that are listed for each finding, the first
	// ones. Zero means 5.
	Examples int
}

const defaultExamples = 5

// Report is the result of an examination.
type Report struct {
	// Through is the last position that was examined: the head at the start.
	Through eventstore.Position
	// Events is the number of events examined.
	Events uint64
	// Unknown lists events of a name or version that is neither registered nor
	// upcast.
	Unknown []Finding
	// Undecodable lists events whose payload cannot be decoded or fails an upcaster.
	Undecodable []Finding
	// Upcast lists events of a name and version that is no longer written, so that
	// only upcasters read them. This is no fault; it shows which upcasters are still
	// needed.
	Upcast []Finding
	// Retagged lists events that would have other tags if they were written today.
	// Queries by tag find them and new events differently.
	Retagged []Finding
}

// Finding is a finding about the events of one stored name and version.
type Finding struct {
	Name    string
	Version uint32
	// Events is the number of events.
	Events uint64
	// Examples are the first events, by position.
	Examples []Example
}

// Example is one event of a finding.
type Example struct {
	Position eventstore.Position
	Reason   string
}

// Examine reads the events of the store up to its head and decodes each. It keeps
// the examples, and a count for each name and version, in memory.
//
// It returns [eventstore.ErrInvalid] if the store is nil or a nil
// pointer, the registry is nil, the query
// is invalid or Examples is negative. If reading fails, it returns the error with
// the report of what was read; Through is then the last position that was examined.
func Examine(ctx context.Context, store eventstore.Store, registry *codec.Registry, opts *Options) (Report, error) {
	e, err := newExamination(registry, opts)
	if err = errors.Join(err, given.Store(store)); err != nil {
		return Report{}, fmt.Errorf("examine: %w: %w", eventstore.ErrInvalid, err)
	}
	head, err := store.Head(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("examine: %w", err)
	}
	if head > 0 { // To 0 would mean the head of a later moment
		for event, err := range store.Read(ctx, e.query, eventstore.ReadOptions{To: head}) {
			if err != nil {
				return e.report(), fmt.Errorf("examine: after position %d: %w", e.through, err)
			}
			e.event(event)
		}
	}
	e.through = head
	return e.report(), nil
}

// kind is a stored name and version.
type kind struct {
	name    string
	version uint32
}

type examination struct {
	registry *codec.Registry
	query    eventstore.Query
	examples int
	written  map[kind]bool // registered kinds

	through                                eventstore.Position
	events                                 uint64
	unknown, undecodable, upcast, retagged map[kind]*Finding
}

func newExamination(registry *codec.Registry, opts *Options) (*examination, error) {
	e := &examination{
		registry: registry, query: eventstore.All(), examples: defaultExamples, written: make(map[kind]bool),
		unknown: make(map[kind]*Finding), undecodable: make(map[kind]*Finding),
		upcast: make(map[kind]*Finding), retagged: make(map[kind]*Finding),
	}
	var faults []error
	if registry == nil {
		faults = append(faults, errors.New("the registry is nil"))
	} else {
		for r := range registry.All() {
			e.written[kind{r.Name, r.Version}] = true
		}
	}
	if opts == nil {
		opts = &Options{}
	}
	if opts.Query.IsAll() || opts.Query.Items() != nil {
		e.query = opts.Query
		faults = append(faults, eventstore.ValidateRead(e.query, eventstore.ReadOptions{}))
	}
	if opts.Examples < 0 {
		faults = append(faults, fmt.Errorf("%d examples are negative", opts.Examples))
	}
	e.examples = cmp.Or(opts.Examples, e.examples)
	return e, errors.Join(faults...)
}

// event examines one event.
func (e *examination) event(stored eventstore.Event) {
	e.events++
	e.through = stored.Position
	values, err := e.registry.DecodeAll(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if unknown := (*codec.UnknownTypeError)(nil); errors.As(err, &unknown) {
		e.note(e.unknown, stored, unknown.Error)
		return
	}
	if !e.written[kind{stored.Type, stored.SchemaVersion}] && err == nil {
		e.note(e.upcast, stored, func() string { return becomes(values, e.registry) })
	}
	if err != nil {
		e.note(e.undecodable, stored, err.Error)
		return
	}
	if reason := e.tags(stored, values); reason != "" {
		e.note(e.retagged, stored, func() string { return reason })
	}
}

// tags describes how the tags of an event differ from those that its values would
// have today, or why these are unknown. It returns "" if they are the same.
func (e *examination) tags(stored eventstore.Event, values []any) string {
	if len(values) == 0 {
		return "" // the event is dropped
	}
	today := make(map[eventstore.Tag]bool)
	for _, value := range values {
		encoded, err := e.registry.Encode(value)
		if err != nil {
			return err.Error()
		}
		for _, tag := range encoded.Tags {
			today[eventstore.Tag(tag)] = true
		}
	}
	var gone, missing []string
	for _, tag := range stored.Tags {
		if !today[tag] {
			gone = append(gone, string(tag))
		}
		delete(today, tag)
	}
	for tag := range today {
		missing = append(missing, string(tag))
	}
	slices.Sort(missing)
	switch {
	case len(gone) > 0 && len(missing) > 0:
		return fmt.Sprintf("has %q, would have %q", gone, missing)
	case len(gone) > 0:
		return fmt.Sprintf("has %q, would not", gone)
	case len(missing) > 0:
		return fmt.Sprintf("lacks %q", missing)
	default:
		return ""
	}
}

// becomes describes what upcasters make of an event.
func becomes(values []any, registry *codec.Registry) string {
	if len(values) == 0 {
		return "is dropped"
	}
	text := "becomes"
	for i, value := range values {
		if i > 0 {
			text += ","
		}
		encoded, err := registry.Encode(value)
		if err != nil {
			return text + " a value that cannot be stored today: " + err.Error()
		}
		text += fmt.Sprintf(" %q version %d", encoded.Type, encoded.SchemaVersion)
	}
	return text
}

func (e *examination) note(findings map[kind]*Finding, stored eventstore.Event, reason func() string) {
	k := kind{stored.Type, stored.SchemaVersion}
	f := findings[k]
	if f == nil {
		f = &Finding{Name: k.name, Version: k.version}
		findings[k] = f
	}
	f.Events++
	if len(f.Examples) < e.examples {
		f.Examples = append(f.Examples, Example{Position: stored.Position, Reason: reason()})
	}
}

func (e *examination) report() Report {
	return Report{
		Through: e.through, Events: e.events,
		Unknown: sorted(e.unknown), Undecodable: sorted(e.undecodable),
		Upcast: sorted(e.upcast), Retagged: sorted(e.retagged),
	}
}

// sorted returns the findings by name and version.
func sorted(findings map[kind]*Finding) []Finding {
	var list []Finding
	for _, f := range findings {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return list
}
