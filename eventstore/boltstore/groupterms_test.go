package boltstore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

var termNames = []string{"a", "b", "a-1", "b-2", "c"}

// someNames returns each name with a probability of a third.
func someNames(random *rand.Rand) []string {
	var list []string
	for _, name := range termNames {
		if random.IntN(3) == 0 {
			list = append(list, name)
		}
	}
	return list
}

func oneName(random *rand.Rand) string { return termNames[random.IntN(len(termNames))] }

// randomGroups returns up to three published groups of up to six entries, and the
// position of the last.
func randomGroups(random *rand.Rand) (groups []*group, head eventstore.Position) {
	groups = make([]*group, 1+random.IntN(3))
	head = eventstore.Position(random.IntN(5))
	for i := range groups {
		g := newGroup(0, logfile.Head{Position: head}, time.Time{})
		for range 1 + random.IntN(6) {
			g.entries = append(g.entries, entry{
				stream: eventstore.StreamID(oneName(random)), kind: oneName(random), tags: as[eventstore.Tag](someNames(random)),
			})
			g.through++
		}
		if head, groups[i] = g.through, g; i > 0 {
			groups[i-1].next.Store(g)
		}
	}
	return groups, head
}

func randomQuery(random *rand.Rand) eventstore.Query {
	item := eventstore.Item{Types: someNames(random), Tags: as[eventstore.Tag](someNames(random))}
	if random.IntN(2) == 0 {
		item.Streams = as[eventstore.StreamID](someNames(random))
	} else {
		item.Categories = []string{"a", "b"}
	}
	return eventstore.Match(item, eventstore.Item{Types: []string{oneName(random)}, Tags: []eventstore.Tag{"c"}})
}

// TestGroup_FirstMatchAgreesWithMatches compares a group's small index, of one group
// and of several merged, with Query.Matches.
func TestGroup_FirstMatchAgreesWithMatches(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		groups, head := randomGroups(random)
		q := randomQuery(random)
		bound := eventstore.Position(random.IntN(int(head) + 2))

		var want sighting
		for _, g := range groups {
			for i, e := range g.entries {
				if want.position == 0 && g.position(i) > bound && q.Matches(e.stream, e.kind, e.tags) {
					want = g.sighting(i)
				}
			}
		}
		last := groups[len(groups)-1]
		for _, past := range []recent{{published: groups[0], more: last}, {more: merge(groups[0], last)}} {
			got, err := past.firstMatch(q, bound)
			require.NoError(t, err)
			require.Equal(t, want, got, "query %v after %d in %d groups", q, bound, len(groups))
		}
	}
}

func as[S ~string](names []string) []S {
	list := make([]S, len(names))
	for i, name := range names {
		list[i] = S(name)
	}
	return list
}

// TestGroup_IndexFollowsTheFormingGroup asks in between.
func TestGroup_IndexFollowsTheFormingGroup(t *testing.T) {
	g := newGroup(0, logfile.Head{Position: 10}, time.Time{})
	for i := range 50 {
		q := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("n:", i))}})
		require.Equal(t, -1, g.firstMatch(q, 0))
		g.entries = append(g.entries, entry{kind: "t", tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("n:", i))}})
		g.through++
		require.Equal(t, i, g.firstMatch(q, 0))
		require.Equal(t, -1, g.firstMatch(q, g.through))
	}
}
