package eventstore

import (
	"slices"
	"strings"

	"github.com/yore-es/yore/internal/quote"
)

// Query selects events: those that match at least one of its items, or every event for
// [All]. Build one with [All], [Match], [Stream], [Category] or [Union]. The zero Query
// is ErrInvalid wherever it is used. A Query never changes; it is safe for concurrent use
// by multiple goroutines.
type Query struct {
	all   bool
	items []Item
}

// Item is one alternative of a [Query]. An event matches if each field that is not empty
// holds: the event is in one of Streams, it is in one of Categories, it has one of Types,
// and it has all Tags (it may have more). An item without any field is ErrInvalid. An item
// has at most 128 tags, and at most 1,024 names in all fields together. A query has at most
// 128 items and 16,384 names.
type Item struct {
	Streams    []StreamID
	Categories []string
	Types      []string
	Tags       []Tag
}

// All returns the query that every event matches.
func All() Query { return Query{all: true} }

// Match returns the query for the events that match at least one of the items. It copies
// the items.
func Match(items ...Item) Query {
	copies := make([]Item, len(items))
	for i, item := range items {
		copies[i] = Item{
			Streams:    slices.Clone(item.Streams),
			Categories: slices.Clone(item.Categories),
			Types:      slices.Clone(item.Types),
			Tags:       slices.Clone(item.Tags),
		}
	}
	return Query{items: copies}
}

// Stream returns the query for the events of one stream.
func Stream(id StreamID) Query {
	return Query{items: []Item{{Streams: []StreamID{id}}}}
}

// Category returns the query for the events of all streams of a category.
func Category(name string) Query {
	return Query{items: []Item{{Categories: []string{name}}}}
}

// Union returns the query for the events that match at least one of the queries. Its
// items are those of the queries, in order; it is All if one of the queries is All.
func Union(queries ...Query) Query {
	var union Query
	for _, q := range queries {
		if q.all {
			return All()
		}
		union.items = append(union.items, q.items...)
	}
	return union
}

// IsAll reports whether the query is All.
func (q Query) IsAll() bool { return q.all }

// Items returns the query's items, none for All. The caller must not change them.
func (q Query) Items() []Item { return q.items }

// OneStream returns the only stream that the query selects from, and whether there is
// one: each item names that stream and no other.
func (q Query) OneStream() (id StreamID, ok bool) {
	for i := range q.items {
		streams := q.items[i].Streams
		if len(streams) != 1 || i > 0 && streams[0] != id {
			return "", false
		}
		id = streams[0]
	}
	return id, len(q.items) > 0
}

// Matches reports whether an event with this stream ("" for none), type and tags matches.
// It defines what a query selects, in every store.
func (q Query) Matches(stream StreamID, eventType string, tags []Tag) bool {
	if q.all {
		return true
	}
	for i := range q.items {
		if q.items[i].matches(stream, eventType, tags) {
			return true
		}
	}
	return false
}

func (it *Item) matches(stream StreamID, eventType string, tags []Tag) bool {
	if it.namesNothing() {
		return false
	}
	if len(it.Types) > 0 && !slices.Contains(it.Types, eventType) {
		return false
	}
	if len(it.Streams) > 0 && !slices.Contains(it.Streams, stream) {
		return false
	}
	if len(it.Categories) > 0 && (stream == "" || !slices.Contains(it.Categories, stream.Category())) {
		return false
	}
	for _, tag := range it.Tags {
		if !slices.Contains(tags, tag) {
			return false
		}
	}
	return true
}

// names returns the number of names of the item.
func (it *Item) names() int {
	return len(it.Streams) + len(it.Categories) + len(it.Types) + len(it.Tags)
}

func (it *Item) namesNothing() bool { return it.names() == 0 }

// String returns the query in words, as in error messages.
func (q Query) String() string {
	if q.all {
		return "all events"
	}
	if len(q.items) == 0 {
		return "nothing (the zero Query)"
	}
	parts := make([]string, len(q.items))
	for i, item := range q.items {
		parts[i] = item.String()
	}
	return strings.Join(parts, " or ")
}

// String returns the item in words, as in error messages.
func (it Item) String() string {
	var parts []string
	parts = appendNames(parts, "stream", it.Streams)
	parts = appendNames(parts, "category", it.Categories)
	parts = appendNames(parts, "type", it.Types)
	parts = appendNames(parts, "tags", it.Tags)
	if len(parts) == 0 {
		return "nothing (an empty item)"
	}
	return strings.Join(parts, ", ")
}

func appendNames[S ~string](parts []string, label string, names []S) []string {
	if len(names) == 0 {
		return parts
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote.Name(string(name))
	}
	return append(parts, label+" "+strings.Join(quoted, "|"))
}
