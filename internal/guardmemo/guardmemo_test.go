package guardmemo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/guardmemo"
)

func closed(account string) eventstore.Query {
	return eventstore.Match(eventstore.Item{Types: []string{"closed"}, Tags: []eventstore.Tag{eventstore.Tag("account:" + account)}})
}

// since returns where a search of q must begin.
func since(m *guardmemo.Memo, q eventstore.Query, after, head eventstore.Position) eventstore.Position {
	from, _ := m.Since(nil, q, after, head)
	return from
}

func note(m *guardmemo.Memo, q eventstore.Query, after, head eventstore.Position) {
	_, key := m.Since(nil, q, after, head)
	m.Note(key, after, head)
}

func TestMemo(t *testing.T) {
	var m guardmemo.Memo
	require.EqualValues(t, 0, since(&m, closed("1"), 0, 1000), "nothing is known")
	note(&m, closed("1"), 0, 1000)
	require.EqualValues(t, 1000, since(&m, closed("1"), 0, 2000))
	require.EqualValues(t, 1000, since(&m, closed("1"), 500, 2000), "a later start is inside the range")
	require.EqualValues(t, 1500, since(&m, closed("1"), 1500, 2000), "but not after its end")
	require.EqualValues(t, 0, since(&m, closed("2"), 0, 2000), "another query")

	note(&m, closed("1"), 900, 1500)
	require.EqualValues(t, 1500, since(&m, closed("1"), 0, 2000), "overlapping ranges are one")
	note(&m, closed("1"), 1800, 3000)
	require.EqualValues(t, 0, since(&m, closed("1"), 0, 4000), "1501 to 1800 were not searched")
	require.EqualValues(t, 3000, since(&m, closed("1"), 1800, 4000))
}

func TestMemo_WhatIsNotRemembered(t *testing.T) {
	var m guardmemo.Memo
	long := closed(strings.Repeat("x", 200))
	for name, q := range map[string]eventstore.Query{"all": eventstore.All(), "long": eventstore.Union(long, closed(strings.Repeat("y", 200)), closed(strings.Repeat("z", 200)))} {
		_, key := m.Since(nil, q, 0, 1000)
		require.Nil(t, key, name)
	}
	_, key := m.Since(nil, long, 900, 1000)
	require.Nil(t, key, "few positions")
	m.Note(nil, 0, 1000)

	for i := range 10_000 {
		note(&m, closed(fmt.Sprint(i)), 0, 1000)
	}
	known := 0
	for i := range 10_000 {
		if since(&m, closed(fmt.Sprint(i)), 0, 2000) > 0 {
			known++
		}
	}
	require.Equal(t, 4096, known, "it is bounded")
}

// TestMemo_NamesDoNotRun into each other: what is one name of a query is not two of another.
func TestMemo_NamesDoNotRun(t *testing.T) {
	var m guardmemo.Memo
	note(&m, eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"a", "b"}}), 0, 1000)
	for _, q := range []eventstore.Query{
		eventstore.Stream("ab"), eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"a"}, Types: []string{"b"}}),
		eventstore.Union(eventstore.Stream("a"), eventstore.Stream("b")),
	} {
		require.EqualValues(t, 0, since(&m, q, 0, 1000))
	}
}
