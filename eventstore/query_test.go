package eventstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

func TestQuery_Matches(t *testing.T) {
	type (
		item = eventstore.Item
		tags = []eventstore.Tag
	)
	one := func(i item) eventstore.Query { return eventstore.Match(i) }
	tests := []struct {
		name   string
		query  eventstore.Query
		stream eventstore.StreamID
		typ    string
		tags   tags
		want   bool
	}{
		{"the zero query", eventstore.Query{}, "a", "x", nil, false},
		{"no items", eventstore.Match(), "a", "x", nil, false},
		{"an empty item", one(item{}), "a", "x", nil, false},
		{"an empty item beside another", eventstore.Match(item{}, item{Types: []string{"x"}}), "a", "x", nil, true},
		{"all", eventstore.All(), "", "", nil, true},
		{"stream", eventstore.Stream("a-1"), "a-1", "x", nil, true},
		{"another stream", eventstore.Stream("a-1"), "a-10", "x", nil, false},
		{"stream, for an event in none", eventstore.Stream("a"), "", "x", nil, false},
		{"category", eventstore.Category("a"), "a-1", "x", nil, true},
		{"category of a name without dash", eventstore.Category("a"), "a", "x", nil, true},
		{"category of a name with two dashes", eventstore.Category("a"), "a-b-c", "x", nil, true},
		{"category that is a prefix", eventstore.Category("a"), "ab-1", "x", nil, false},
		{"category, for an event in no stream", eventstore.Category("a"), "", "x", nil, false},
		{"type", one(item{Types: []string{"w", "x"}}), "", "x", nil, true},
		{"another type", one(item{Types: []string{"w", "xx"}}), "", "x", nil, false},
		{"tag", one(item{Tags: tags{"t"}}), "", "x", tags{"s", "t"}, true},
		{"two tags", one(item{Tags: tags{"t", "s"}}), "", "x", tags{"s", "t", "u"}, true},
		{"one of two tags", one(item{Tags: tags{"t", "s"}}), "", "x", tags{"t"}, false},
		{"type and tag", one(item{Types: []string{"x"}, Tags: tags{"t"}}), "", "x", tags{"t"}, true},
		{"type, not tag", one(item{Types: []string{"x"}, Tags: tags{"t"}}), "", "x", nil, false},
		{"stream and category", one(item{Streams: []eventstore.StreamID{"a-1"}, Categories: []string{"a"}}), "a-1", "x", nil, true},
		{"stream, not category", one(item{Streams: []eventstore.StreamID{"a-1"}, Categories: []string{"b"}}), "a-1", "x", nil, false},
		{"the second item", eventstore.Match(item{Types: []string{"w"}}, item{Tags: tags{"t"}}), "", "x", tags{"t"}, true},
		{"a union", eventstore.Union(eventstore.Stream("b"), eventstore.Stream("a")), "a", "x", nil, true},
		{"a union with all", eventstore.Union(eventstore.Stream("b"), eventstore.All()), "a", "x", nil, true},
		{"a union of nothing", eventstore.Union(), "a", "x", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, test.query.Matches(test.stream, test.typ, test.tags))
		})
	}
}

func TestMatch_CopiesItsItems(t *testing.T) {
	types := []string{"x"}
	items := []eventstore.Item{{Types: types}}
	query := eventstore.Match(items...)
	types[0], items[0] = "y", eventstore.Item{}
	require.True(t, query.Matches("", "x", nil))
	require.False(t, query.Matches("", "y", nil))
}

func TestUnion_LeavesItsPartsAlone(t *testing.T) {
	a, b, c := eventstore.Stream("a"), eventstore.Stream("b"), eventstore.Stream("c")
	ab := eventstore.Union(a, b)
	abc, aba := eventstore.Union(ab, c), eventstore.Union(ab, a)
	require.Len(t, ab.Items(), 2)
	require.True(t, abc.Matches("c", "x", nil))
	require.False(t, aba.Matches("c", "x", nil))
	require.Empty(t, eventstore.Union(a, eventstore.All()).Items())
	require.True(t, eventstore.Union(a, eventstore.All()).IsAll())
	require.False(t, ab.IsAll())
}

func TestQuery_String(t *testing.T) {
	tests := []struct {
		query eventstore.Query
		want  string
	}{
		{eventstore.All(), "all events"},
		{eventstore.Query{}, "nothing (the zero Query)"},
		{eventstore.Match(eventstore.Item{}), "nothing (an empty item)"},
		{eventstore.Stream("cart-7"), `stream "cart-7"`},
		{eventstore.Category("cart"), `category "cart"`},
		{eventstore.Match(
			eventstore.Item{Types: []string{"x", "y"}, Tags: []eventstore.Tag{"t", "u"}},
			eventstore.Item{Streams: []eventstore.StreamID{"a"}},
		), `type "x"|"y", tags "t"|"u" or stream "a"`},
	}
	for _, test := range tests {
		require.Equal(t, test.want, test.query.String())
	}
}

func TestStreamID_Category(t *testing.T) {
	for stream, want := range map[eventstore.StreamID]string{
		"cart-7": "cart", "cart": "cart", "cart-": "cart", "cart-7-8": "cart", "": "", "a b-c": "a b", "日本-1": "日本",
	} {
		require.Equal(t, want, stream.Category(), "%q", stream)
	}
}

func TestStreamID_ID(t *testing.T) {
	for stream, want := range map[eventstore.StreamID]string{
		"cart-7": "7", "cart": "", "cart-": "", "cart-7-8": "7-8", "": "", "a b-c": "c", "日本-1": "1",
	} {
		require.Equal(t, want, stream.ID(), "%q", stream)
	}
}
