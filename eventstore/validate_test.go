package eventstore_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

// small are low limits, so that tests can be small.
var small = eventstore.Limits{
	NameBytes: 8, TagsPerEvent: 2, ItemsPerQuery: 2, NamesPerItem: 3, NamesPerQuery: 4, PayloadBytes: 10, MetadataBytes: 6,
	EventsPerCommit: 3, CommitBytes: 20, TagsPerCommit: 3, ExpectationsPerCommit: 2, GuardsPerCommit: 2, NamesPerCommit: 5,
}

// valid returns a valid commit after change.
func valid(change func(c *eventstore.Commit)) eventstore.Commit {
	c := eventstore.Commit{
		Events: []eventstore.NewEvent{{Stream: "a", Type: "x"}},
		Expect: []eventstore.Expect{{Stream: "a", At: eventstore.Any}},
	}
	change(&c)
	return c
}

// validation is a change of the valid commit, and what small.Validate must return
// for it.
type validation struct {
	name   string
	change func(*eventstore.Commit)
	want   error
}

var invalid, large = eventstore.ErrInvalid, eventstore.ErrTooLarge

func checkValidations(t *testing.T, tests []validation) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorIs(t, small.Validate(valid(test.change)), test.want)
		})
	}
}

func TestLimits_Validate_Commit(t *testing.T) {
	events := func(n, size int) func(*eventstore.Commit) {
		return func(c *eventstore.Commit) {
			c.Events = nil
			for range n {
				c.Events = append(c.Events, eventstore.NewEvent{Type: "x", Data: make([]byte, size)})
			}
		}
	}
	checkValidations(t, []validation{
		{"as it is", func(*eventstore.Commit) {}, nil},
		{"no events", func(c *eventstore.Commit) { c.Events = nil }, invalid},
		{"most events", events(3, 0), nil},
		{"too many events", events(4, 0), large},
		{"most bytes", events(2, 10), nil},
		{"too many bytes", events(3, 7), large},
		{"metadata counts in the bytes", func(c *eventstore.Commit) {
			events(2, 10)(c)
			c.Events[0].Metadata = eventstore.Metadata{"k": ""}
		}, large},
		{"names and tags count apart", func(c *eventstore.Commit) {
			events(2, 10)(c)
			c.Events[0].Tags = []eventstore.Tag{"12345678", "1234567"}
			c.Events[1].Codec = "12"
		}, nil},
		{"too many bytes of names and tags", func(c *eventstore.Commit) {
			events(2, 0)(c)
			c.Events[0].Tags = []eventstore.Tag{"12345678", "1234567"}
			c.Events[1].Codec = "1234"
		}, large},
		{"tags given twice count twice", func(c *eventstore.Commit) {
			events(2, 0)(c)
			for i := range c.Events {
				c.Events[i].Tags = []eventstore.Tag{"12345678", "12345678"}
			}
			c.Events[1].Tags = c.Events[1].Tags[:1]
		}, large},
		{"too many tags", func(c *eventstore.Commit) {
			events(2, 0)(c)
			for i := range c.Events {
				c.Events[i].Tags = []eventstore.Tag{"1", "2"}
			}
		}, large},
		{"key", func(c *eventstore.Commit) { c.Key = "12345678" }, nil},
		{"long key", func(c *eventstore.Commit) { c.Key = "123456789" }, large},
		{"key with NUL", func(c *eventstore.Commit) { c.Key = "\x00" }, invalid},
	})
}

func TestLimits_Validate_Event(t *testing.T) {
	first := func(change func(e *eventstore.NewEvent)) func(*eventstore.Commit) {
		return func(c *eventstore.Commit) { change(&c.Events[0]) }
	}
	checkValidations(t, []validation{
		{"in no stream", func(c *eventstore.Commit) { c.Events[0].Stream, c.Expect = "", nil }, nil},
		{"no type", first(func(e *eventstore.NewEvent) { e.Type = "" }), invalid},
		{"long type", first(func(e *eventstore.NewEvent) { e.Type = "123456789" }), large},
		{"long in bytes, not in letters", first(func(e *eventstore.NewEvent) { e.Type = "ééééé" }), large},
		{"type that is not UTF-8", first(func(e *eventstore.NewEvent) { e.Type = "\xff" }), invalid},
		{"codec", first(func(e *eventstore.NewEvent) { e.Codec = "12345678" }), nil},
		{"long codec", first(func(e *eventstore.NewEvent) { e.Codec = "123456789" }), large},
		{"codec with NUL", first(func(e *eventstore.NewEvent) { e.Codec = "a\x00" }), invalid},
		{"stream with a leading dash", first(func(e *eventstore.NewEvent) { e.Stream = "-a" }), invalid},
		{"most tags", first(func(e *eventstore.NewEvent) { e.Tags = []eventstore.Tag{"a", "b"} }), nil},
		{"too many tags", first(func(e *eventstore.NewEvent) { e.Tags = []eventstore.Tag{"a", "b", "c"} }), large},
		{"empty tag", first(func(e *eventstore.NewEvent) { e.Tags = []eventstore.Tag{""} }), invalid},
		{"largest payload", first(func(e *eventstore.NewEvent) { e.Data = make([]byte, 10) }), nil},
		{"too large a payload", first(func(e *eventstore.NewEvent) { e.Data = make([]byte, 11) }), large},
		{"largest metadata", first(func(e *eventstore.NewEvent) { e.Metadata = eventstore.Metadata{"k": "12", "l": "12"} }), nil},
		{"too large metadata", first(func(e *eventstore.NewEvent) { e.Metadata = eventstore.Metadata{"k": "12", "l": "123"} }), large},
		{"empty metadata key", first(func(e *eventstore.NewEvent) { e.Metadata = eventstore.Metadata{"": "v"} }), invalid},
		{"metadata that is not UTF-8", first(func(e *eventstore.NewEvent) { e.Metadata = eventstore.Metadata{"k": "\xff"} }), invalid},
		{"metadata key that is not UTF-8", first(func(e *eventstore.NewEvent) { e.Metadata = eventstore.Metadata{"\xff": "v"} }), invalid},
		{"last year", first(func(e *eventstore.NewEvent) { e.Time = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }), nil},
		{"year 10000", first(func(e *eventstore.NewEvent) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }), invalid},
		{"year 0", first(func(e *eventstore.NewEvent) { e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }), invalid},
		{"year 10000 in UTC only", first(func(e *eventstore.NewEvent) {
			e.Time = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("west", -3600))
		}), invalid},
	})
}

func TestLimits_Validate_Expect(t *testing.T) {
	checkValidations(t, []validation{
		{"no expectation", func(c *eventstore.Commit) { c.Expect = nil }, invalid},
		{"the zero expectation", func(c *eventstore.Commit) { c.Expect[0].At = 0 }, invalid},
		{"a converted number", func(c *eventstore.Commit) { c.Expect[0].At = 1 }, invalid},
		{"a converted version", func(c *eventstore.Commit) { c.Expect[0].At = eventstore.Expectation(eventstore.Version(1 << 40)) }, invalid},
		{"a converted -1", func(c *eventstore.Commit) { c.Expect[0].At = math.MaxUint64 }, invalid},
		{"a version that no stream gets to", func(c *eventstore.Commit) { c.Expect[0].At = eventstore.At(math.MaxUint64) }, nil},
		{"two expectations", func(c *eventstore.Commit) { c.Expect = append(c.Expect, c.Expect[0]) }, invalid},
		{"an expectation on another stream", func(c *eventstore.Commit) {
			c.Expect = append(c.Expect, eventstore.Expect{Stream: "b", At: eventstore.Exists})
		}, nil},
		{"too many expectations", func(c *eventstore.Commit) {
			c.Expect = append(c.Expect, eventstore.Expect{Stream: "b", At: eventstore.Any}, eventstore.Expect{Stream: "c", At: eventstore.Any})
		}, large},
		{"an expectation on no stream", func(c *eventstore.Commit) { c.Expect = append(c.Expect, eventstore.Expect{At: eventstore.Any}) }, invalid},
	})
}

func TestLimits_Validate_Guard(t *testing.T) {
	item := func(i eventstore.Item) func(*eventstore.Commit) {
		return func(c *eventstore.Commit) { c.Guards = []eventstore.Guard{{Query: eventstore.Match(i)}} }
	}
	checkValidations(t, []validation{
		{"most guards", func(c *eventstore.Commit) {
			c.Guards = []eventstore.Guard{{Query: eventstore.All()}, {Query: eventstore.All()}}
		}, nil},
		{"too many guards", func(c *eventstore.Commit) { c.Guards = make([]eventstore.Guard, 3) }, large},
		{"the zero query", func(c *eventstore.Commit) { c.Guards = make([]eventstore.Guard, 1) }, invalid},
		{"an empty item", item(eventstore.Item{}), invalid},
		{"category with a dash", item(eventstore.Item{Categories: []string{"a-b"}}), invalid},
		{"empty category", item(eventstore.Item{Categories: []string{""}}), invalid},
		{"category", item(eventstore.Item{Categories: []string{"a"}}), nil},
		{"empty stream in an item", item(eventstore.Item{Streams: []eventstore.StreamID{""}}), invalid},
		{"empty type in an item", item(eventstore.Item{Types: []string{""}}), invalid},
		{"most names in an item", item(eventstore.Item{Types: []string{"a", "b"}, Streams: []eventstore.StreamID{"a"}}), nil},
		{"too many names in an item", item(eventstore.Item{
			Types: []string{"a"}, Streams: []eventstore.StreamID{"a"}, Categories: []string{"a"}, Tags: []eventstore.Tag{"a"},
		}), large},
		{"too many names in a query", func(c *eventstore.Commit) {
			three := eventstore.Item{Streams: []eventstore.StreamID{"a", "b", "c"}}
			c.Guards = []eventstore.Guard{{Query: eventstore.Match(three, three)}}
		}, large},
		{"too many names in all guards", func(c *eventstore.Commit) {
			three := eventstore.Match(eventstore.Item{Categories: []string{"a", "b", "c"}})
			c.Guards = []eventstore.Guard{{Query: three}, {Query: three}}
		}, large},
		{"too many tags in an item", item(eventstore.Item{Tags: []eventstore.Tag{"a", "b", "c"}}), large},
	})
}

func TestValidate_StandardLimits(t *testing.T) {
	limits := eventstore.StandardLimits()
	require.Equal(t, 255, limits.NameBytes)
	require.Equal(t, 128, limits.TagsPerEvent)
	require.Equal(t, 128, limits.ItemsPerQuery)
	require.Equal(t, 16<<20, limits.PayloadBytes)
	require.Equal(t, 64<<10, limits.MetadataBytes)
	require.Equal(t, 65_536, limits.EventsPerCommit)
	require.Equal(t, 64<<20, limits.CommitBytes)
	require.Equal(t, 1_024, limits.GuardsPerCommit)
	for n, want := range map[int]error{limits.NameBytes: nil, limits.NameBytes + 1: eventstore.ErrTooLarge} {
		name := strings.Repeat("n", n)
		require.ErrorIs(t, eventstore.Validate(valid(func(c *eventstore.Commit) { c.Events[0].Type = name })), want)
		require.ErrorIs(t, eventstore.ValidateKey(name), want)
		require.ErrorIs(t, eventstore.ValidateRead(eventstore.Category(name), eventstore.ReadOptions{}), want)
	}
	for n, want := range map[int]error{limits.EventsPerCommit: nil, limits.EventsPerCommit + 1: eventstore.ErrTooLarge} {
		events := make([]eventstore.NewEvent, n)
		for i := range events {
			events[i].Type = "x"
		}
		require.ErrorIs(t, eventstore.Validate(eventstore.Commit{Events: events}), want)
	}
}

func TestValidate_NamesThePart(t *testing.T) {
	err := eventstore.Validate(valid(func(c *eventstore.Commit) { c.Events = append(c.Events, eventstore.NewEvent{Type: "a\x00b"}) }))
	require.EqualError(t, err, `event 1: invalid: type "a\x00b" contains NUL`)

	err = small.Validate(valid(func(c *eventstore.Commit) { c.Events[0].Data = make([]byte, 11) }))
	var limit *eventstore.LimitError
	require.True(t, errors.As(err, &limit))
	require.Equal(t, eventstore.LimitError{What: "bytes of payload", Size: 11, Limit: 10}, *limit)
	require.EqualError(t, err, "event 0: too large: 11 bytes of payload, at most 10")
}

func TestValidateRead(t *testing.T) {
	var items []eventstore.Item
	for i := range 129 {
		items = append(items, eventstore.Item{Types: []string{fmt.Sprint(i)}})
	}
	for _, test := range []struct {
		name  string
		query eventstore.Query
		limit int
		want  error
	}{
		{"all", eventstore.All(), 0, nil},
		{"with a limit", eventstore.All(), 1, nil},
		{"with a negative limit", eventstore.All(), -1, eventstore.ErrInvalid},
		{"the zero query", eventstore.Query{}, 0, eventstore.ErrInvalid},
		{"no items", eventstore.Match(), 0, eventstore.ErrInvalid},
		{"most items", eventstore.Match(items[:128]...), 0, nil},
		{"too many items", eventstore.Match(items...), 0, eventstore.ErrTooLarge},
		{"a stream with a leading dash", eventstore.Stream("-a"), 0, eventstore.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.ErrorIs(t, eventstore.ValidateRead(test.query, eventstore.ReadOptions{Limit: test.limit}), test.want)
		})
	}
}

func TestValidateKey(t *testing.T) {
	require.NoError(t, eventstore.ValidateKey("k"))
	require.ErrorIs(t, eventstore.ValidateKey(""), eventstore.ErrInvalid)
	require.ErrorIs(t, eventstore.ValidateKey("a\x00"), eventstore.ErrInvalid)
	require.ErrorIs(t, eventstore.ValidateKey("\xff"), eventstore.ErrInvalid)
}
