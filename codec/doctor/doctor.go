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

// Options bound an examination. Nil and the zero Options mean the defaults.
type Options struct {
	// Query says which events are examined, in stored names; the zero Query is
	// all of them.
	Query eventstore.Query
	// Examples bounds how many events are listed of each finding, the first
	// ones; the default is 5.
	Examples int
}

const defaultExamples = 5

// Report is what was found.
type Report struct {
	// Through is the position that was examined up to: the head at the start.
	Through eventstore.Position
	// Events is how many events were examined.
	Events uint64
	// Unknown are events of a name or version that is neither registered nor
	// upcast.
	Unknown []Finding
	// Undecodable are events whose payload cannot be decoded, or fails an upcaster.
	Undecodable []Finding
	// Upcast are events of a name and version that is no longer written: only
	// upcasters read them. That is as it should be, and says which upcasters
	// are still needed.
	Upcast []Finding
	// Retagged are events that would carry other tags if they were written
	// today, and so are found by other queries than their likes of today.
	Retagged []Finding
}

// Finding is what was found about the events of one stored name and version.
type Finding struct {
	Name    string
	Version uint32
	// Events is how many there are.
	Events uint64
	// Examples are the first of them, by position.
	Examples []Example
}

// Example is one event, and what there is to say about it.
type Example struct {
	Position eventstore.Position
	Reason   string
}

// Examine reads the events of the store up to its head and decodes each. It keeps
// the examples and a count for each name and version, no events.
//
// A store that is nil or a nil pointer, a nil registry, a query that cannot be and a negative number of
// examples are [eventstore.ErrInvalid]. An error of reading comes with the report
// of what was read before it, and with the position up to which that was.
func Examine(ctx context.Context, store eventstore.Store, registry *codec.Registry, opts *Options) (Report, error) {
	e, err := newExamination(registry, opts)
	if err = errors.Join(err, given.Value("the store", store)); err != nil {
		return Report{}, fmt.Errorf("examine: %w: %w", eventstore.ErrInvalid, err)
	}
	head, err := store.Head(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("examine: %w", err)
	}
	if head > 0 { // as an option of Read, To 0 would be the head
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
	written  map[kind]bool // what is registered

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

// tags says how the tags of an event differ from those that today's values would
// carry, or why those cannot be known; "" if they are the same.
func (e *examination) tags(stored eventstore.Event, values []any) string {
	if len(values) == 0 {
		return "" // it was dropped
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

// becomes says what upcasters make of an event.
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
			return text + " what cannot be stored today: " + err.Error()
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
