package killloop

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// writtenBy returns the log of commits by writers, in order.
func writtenBy(order ...int) []eventstore.Event {
	var events []eventstore.Event
	var numbers [writers]int
	for _, w := range order {
		for _, e := range eventsOf(w, numbers[w]) {
			p := eventstore.Position(len(events) + 1)
			events = append(events, eventstore.Event{Position: p, ID: uuid.UUID{byte(p)}, Stream: e.Stream, Type: e.Type, Data: e.Data, Tags: e.Tags})
		}
		numbers[w]++
	}
	return events
}

func TestLedger_CheckCommits(t *testing.T) {
	whole := writtenBy(0, 1, 0, 2, 1, 0, 3, 3, 3)
	lastOfAcked := len(eventsOf(0, 0))
	acked := ledger{Kills: 1}
	acked.Acked[0] = []Acked{{N: 0, First: 1, Last: eventstore.Position(lastOfAcked)}}
	tests := map[string]struct {
		ledger ledger
		events []eventstore.Event
		want   string // in the error
	}{
		"nothing was acknowledged of three": {ledger{Kills: 3}, whole, ""},
		"one commit in flight":              {ledger{Kills: 1}, writtenBy(0, 1), ""},
		"acknowledged and there":            {acked, writtenBy(0, 1), ""},
		"acknowledged and gone":             {acked, nil, "it is not there"},
		"acknowledged and elsewhere":        {acked, writtenBy(1, 0), "it is not there"},
		"more than were in flight":          {ledger{Kills: 2}, whole, "more than were acknowledged"},
		"a part of a commit":                {ledger{Kills: 9}, cutInside(whole), "not there as a whole"},
		"a commit left out":                 {ledger{Kills: 9}, whole[lastOfAcked:], "comes after its first 0"},
		"a commit twice":                    {ledger{Kills: 9}, slices.Concat(whole[:lastOfAcked], whole[:lastOfAcked]), "comes after its first 1"},
		"another payload":                   {ledger{Kills: 9}, changed(whole), "is not what writer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { expect(t, tt.ledger.checkCommits(tt.events), tt.want) })
	}
}

// cutInside cuts the log within the last commit that has several events.
func cutInside(events []eventstore.Event) []eventstore.Event {
	for i := len(events) - 1; ; i-- {
		if p, err := placeOf(&events[i]); err == nil && p.i > 0 {
			return events[:i]
		}
	}
}

func changed(events []eventstore.Event) []eventstore.Event {
	events = slices.Clone(events)
	events[1].Data = append(slices.Clone(events[1].Data), '!')
	return events
}

func TestFollowing_Check(t *testing.T) {
	log := writtenBy(0, 1, 2, 0, 1, 2)
	l := ledger{}
	for _, line := range []string{"follow 0 1", "saw 0 2 2=" + log[1].ID.String(), "saw 0 3 3=" + log[2].ID.String(), "saw 0 3"} {
		if err := l.hear(line); err != nil {
			t.Fatal(err)
		}
	}
	right := l.Follows[0][0]
	expect(t, right.check(eventstore.All(), log), "")
	expect(t, right.check(eventstore.All(), log[:2]), "the log has 2 events")

	gap, again, other := right, right, right
	gap.Saw = right.Saw[1:]
	again.Saw = slices.Concat(right.Saw, right.Saw[1:])
	other.Saw = []string{right.Saw[0], "3=" + log[0].ID.String()}
	expect(t, gap.check(eventstore.All(), log), "where 2=")
	expect(t, again.check(eventstore.All(), log), "it saw 3 events; there are 2")
	expect(t, other.check(eventstore.All(), log), "where 3=")
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}
