package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

// equal fails the rule if found is not expected.
func (h *harness) equal(what string, expected, found any) {
	h.Helper()
	if !reflect.DeepEqual(expected, found) {
		h.Fatalf("%s: expected %+v, found %+v", what, expected, found)
	}
}

// matches fails the rule if the error does not match want.
func (h *harness) matches(what string, err, want error) {
	h.Helper()
	if err == nil {
		h.Fatalf("%s: expected the error %q, found none", what, want)
	}
	if !errors.Is(err, want) {
		h.Fatalf("%s: expected the error %q, found %q", what, want, err)
	}
}

// sameReceipt fails the rule if found is not the expected receipt.
func (h *harness) sameReceipt(what string, expected, found eventstore.Receipt) {
	h.Helper()
	sameTime := expected.Recorded.Equal(found.Recorded)
	expected.Recorded = found.Recorded
	if !sameTime || !reflect.DeepEqual(expected, found) {
		h.Fatalf("%s: expected the receipt %+v, found %+v", what, expected, found)
	}
}

// sameEvents fails the rule if found are not the expected events.
func (h *harness) sameEvents(what string, expected, found []eventstore.Event) {
	h.Helper()
	if difference := diff(expected, found); difference != "" {
		h.Fatalf("%s: %s", what, difference)
	}
}

// diff describes the first difference of two lists of events; "" if there is none.
func diff(expected, found []eventstore.Event) string {
	for i := range min(len(expected), len(found)) {
		if !same(expected[i], found[i]) {
			return fmt.Sprintf("event %d of %d: expected %s, found %s",
				i+1, len(expected), describe(expected[i]), describe(found[i]))
		}
	}
	switch {
	case len(found) < len(expected):
		return fmt.Sprintf("expected %d events, found %d; the first missing is %s",
			len(expected), len(found), describe(expected[len(found)]))
	case len(found) > len(expected):
		return fmt.Sprintf("expected %d events, found %d; the first too many is %s",
			len(expected), len(found), describe(found[len(expected)]))
	}
	return ""
}

// same reports whether two events are equal in all fields.
func same(a, b eventstore.Event) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Version == b.Version && a.ID == b.ID &&
		a.Type == b.Type && a.SchemaVersion == b.SchemaVersion && a.Codec == b.Codec &&
		bytes.Equal(a.Data, b.Data) && (a.Data == nil) == (b.Data == nil) &&
		maps.Equal(a.Metadata, b.Metadata) && (a.Metadata == nil) == (b.Metadata == nil) &&
		slices.Equal(a.Tags, b.Tags) && (a.Tags == nil) == (b.Tags == nil) &&
		a.Recorded.Equal(b.Recorded) && a.Time.Equal(b.Time)
}

// describe describes an event in one line: first what identifies it, then the rest.
func describe(e eventstore.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{position %d, stream %q, version %d, type %q", e.Position, e.Stream, e.Version, e.Type)
	if len(e.Tags) > 0 {
		fmt.Fprintf(&b, ", tags %q", e.Tags)
	}
	switch {
	case e.Data == nil:
		b.WriteString(", nil data")
	case len(e.Data) <= 32:
		fmt.Fprintf(&b, ", data %q", e.Data)
	default:
		fmt.Fprintf(&b, ", %d bytes of data from %q", len(e.Data), e.Data[:16])
	}
	if e.SchemaVersion != 0 || e.Codec != "" {
		fmt.Fprintf(&b, ", schema version %d, codec %q", e.SchemaVersion, e.Codec)
	}
	if len(e.Metadata) > 0 {
		fmt.Fprintf(&b, ", metadata %.100q", fmt.Sprint(e.Metadata))
	}
	fmt.Fprintf(&b, ", id %v, recorded %v, time %v}", e.ID, e.Recorded, e.Time)
	return b.String()
}

// pick returns the events at indexes.
func pick(events []eventstore.Event, indexes ...int) []eventstore.Event {
	var picked []eventstore.Event
	for _, i := range indexes {
		picked = append(picked, events[i])
	}
	return picked
}

// matching returns the events that match q.
func matching(q eventstore.Query, events []eventstore.Event) []eventstore.Event {
	var matches []eventstore.Event
	for _, e := range events {
		if q.Matches(e.Stream, e.Type, e.Tags) {
			matches = append(matches, e)
		}
	}
	return matches
}

// reversed returns the events from the last to the first.
func reversed(events []eventstore.Event) []eventstore.Event {
	backward := slices.Clone(events)
	slices.Reverse(backward)
	return backward
}
