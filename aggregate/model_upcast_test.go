package aggregate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// olderRooms reads the events of an older program: entries named "came in", moves from
// room to room as one event, and looks, which change nothing.
func olderRooms(b *codec.Builder) {
	type moved struct{ Guest, From, To string }
	codec.Rename(b, "room.came-in", 1, "room.entered", 1)
	codec.Upcast(b, "room.came-in", 2, func(old struct{ Room, Who string }) guestLeft { return guestLeft{Room: old.Room, Guest: old.Who} })
	codec.Split(b, "room.moved", 1, func(old moved) []any {
		return []any{guestLeft{Room: old.From, Guest: old.Guest}, guestEntered{Room: old.To, Guest: old.Guest}}
	}, guestLeft{}, guestEntered{})
	codec.Drop(b, "room.entered", 2)
}

func olderDecisions(t testing.TB, store eventstore.Store) *aggregate.Decisions {
	t.Helper()
	d, err := aggregate.NewDecisions(store, roomRegistry(t, olderRooms), nil)
	require.NoError(t, err)
	return d
}

// appendOlder appends as the older program does.
func appendOlder(t testing.TB, store eventstore.Store, name string, version uint32, data string, tags ...eventstore.Tag) {
	t.Helper()
	_, err := store.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{
		{Type: name, SchemaVersion: version, Codec: "json", Data: []byte(data), Tags: tags},
	}})
	require.NoError(t, err)
}

func TestModel_ReadsOlderNames(t *testing.T) {
	store := newStore(t)
	d := olderDecisions(t, store)
	carry(t, d, record(roomOpened{"a", 9}, guestEntered{"a", "ann"}))
	appendOlder(t, store, "room.came-in", 1, `{"room":"a","guest":"bob"}`, "room:a", "guest:bob")
	appendOlder(t, store, "room.came-in", 1, `{"room":"a","guest":"cid"}`, "room:a", "guest:cid")
	appendOlder(t, store, "room.came-in", 2, `{"room":"a","who":"bob"}`, "room:a", "guest:bob")
	appendOlder(t, store, "room.moved", 1, `{"guest":"cid","from":"a","to":"b"}`, "room:a", "room:b", "guest:cid")
	appendOlder(t, store, "room.entered", 2, `not JSON`, "room:a", "guest:bob")
	require.Equal(t, 1, load(t, d, visits("bob")), "what becomes another event, or none, is not asked for")
	require.Equal(t, 2, load(t, d, visits("cid")), "a part of what was split is")

	arrivals := aggregate.NewModel(aggregate.Tagged("room:a"), fold.On(func(s []string, e guestEntered) []string { return append(s, e.Guest) }))
	require.Equal(t, []string{"ann", "bob", "cid", "cid"}, load(t, d, arrivals), "tags are as stored: the move is about both rooms")
	arrivals.Last = true
	require.Equal(t, []string{"cid"}, load(t, d, arrivals), "the last that is one")
}

// The tags of an item hold for its own types, also if one stored event becomes several.
func TestModel_FiltersAgainAfterUpcasting(t *testing.T) {
	store := newStore(t)
	d := olderDecisions(t, store)
	appendOlder(t, store, "room.moved", 1, `{"guest":"cid","from":"a","to":"b"}`, "room:b", "guest:cid")
	seen := aggregate.NewModel(
		eventstore.Match(
			eventstore.Item{Types: []string{"room.entered"}, Tags: []eventstore.Tag{"room:b"}},
			eventstore.Item{Types: []string{"room.left"}, Tags: []eventstore.Tag{"room:a"}},
		),
		fold.On(func(s []string, _ guestEntered) []string { return append(s, "in") }),
		fold.On(func(s []string, _ guestLeft) []string { return append(s, "out") }))
	require.Equal(t, []string{"in"}, load(t, d, seen))
}

// A rename must not weaken a guard: the older program goes on beside this one.
func TestDecisions_Execute_OvertakenUnderAnOlderName(t *testing.T) {
	for name, older := range map[string]func(eventstore.Store){
		"a renamed event": func(store eventstore.Store) {
			appendOlder(t, store, "room.came-in", 1, `{"room":"a","guest":"bob"}`, "room:a", "guest:bob")
		},
		"a split event": func(store eventstore.Store) {
			appendOlder(t, store, "room.moved", 1, `{"guest":"bob","from":"b","to":"a"}`, "room:a", "room:b", "guest:bob")
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := overtaken(t, older)
			d := olderDecisions(t, store)
			carry(t, olderDecisions(t, store.Store), record(roomOpened{"a", 1}))
			// Of the two models only visitors asks for what comes.
			var size, visitors int
			decision := aggregate.Decision{
				Models: aggregate.Models{
					holds("a").Into(&size),
					aggregate.NewModel(aggregate.Tagged("room:a"), fold.On(func(n int, _ guestEntered) int { return n + 1 })).Into(&visitors),
				},
				Decide: func() ([]any, error) {
					if visitors >= size {
						return nil, errFull
					}
					return []any{guestEntered{"a", "ann"}}, nil
				},
			}
			_, err := d.Execute(t.Context(), decision)
			require.Equal(t, errFull, err, "room a holds one, and bob has come in")
			require.Equal(t, 1, load(t, d, visits("bob")))
			require.Zero(t, load(t, d, visits("ann")))
		})
	}
}

func TestDecisions_Execute_RepeatedUnderAnOlderName(t *testing.T) {
	store := newStore(t)
	_, err := store.Append(t.Context(), eventstore.Commit{Key: "k", Events: []eventstore.NewEvent{
		{Type: "room.moved", SchemaVersion: 1, Codec: "json", Data: []byte(`{"guest":"cid","from":"a","to":"b"}`)},
		{Type: "room.entered", SchemaVersion: 2, Codec: "json"},
		{Type: "room.came-in", SchemaVersion: 1, Codec: "json", Data: []byte(`{"room":"c","guest":"cid"}`)},
	}})
	require.NoError(t, err)
	decided, err := olderDecisions(t, store).Execute(eventstore.WithCommandID(t.Context(), "k"), record(foreign{}))
	require.NoError(t, err)
	require.Equal(t, []any{guestLeft{"a", "cid"}, guestEntered{"b", "cid"}, guestEntered{"c", "cid"}}, decided.Events)
}
