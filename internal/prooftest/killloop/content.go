package killloop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// A writer's n-th commit is a function of the writer and n, so that an event
// determines what it must be.

const (
	writers = 8
	shared  = 4 // streams that all writers append to
)

func ownStream(w int) eventstore.StreamID { return eventstore.StreamID(fmt.Sprint("writer-", w)) }

func ownTag(w int) eventstore.Tag { return eventstore.Tag(fmt.Sprint("writer:", w)) }

// keyOf returns the key of a writer's n-th commit. Every second commit has none.
func keyOf(w, n int) string {
	if n%2 == 1 {
		return ""
	}
	return fmt.Sprintf("key-%d-%d", w, n)
}

// eventsOf returns the events of a writer's n-th commit. The first is in the
// writer's own stream.
func eventsOf(w, n int) []eventstore.NewEvent {
	random := rand.New(rand.NewPCG(uint64(w), uint64(n)))
	events := make([]eventstore.NewEvent, 1+random.IntN(3))
	large := random.IntN(12) == 0 // its records are packed
	if large {
		events = make([]eventstore.NewEvent, 8+random.IntN(6))
	}
	for i := range events {
		e := &events[i]
		switch random.IntN(3) {
		case 1:
			e.Stream = eventstore.StreamID(fmt.Sprint("shared-", random.IntN(shared)))
		case 2:
			e.Stream = ownStream(w)
		}
		if i == 0 {
			e.Stream = ownStream(w)
		}
		e.Type = fmt.Sprint("type-", random.IntN(4))
		e.Tags = []eventstore.Tag{ownTag(w), eventstore.Tag(fmt.Sprint("number:", n%10))}
		e.Data = fmt.Appendf(nil, "%d %d %d %d ", w, n, i, len(events))
		for range random.IntN(200) {
			e.Data = append(e.Data, byte(random.Uint32()))
		}
		if large {
			e.Data = append(e.Data, bytes.Repeat(e.Data, 1+2000/len(e.Data))...)
		}
	}
	return events
}

// place is an event's place: writer, number of the commit, and place in the commit.
type place struct{ w, n, i, of int }

// placeOf reads an event's place from its payload and compares the event with the
// one that it must be.
func placeOf(e *eventstore.Event) (place, error) {
	var p place
	if _, err := fmt.Fscan(bytes.NewReader(e.Data), &p.w, &p.n, &p.i, &p.of); err != nil {
		return p, fmt.Errorf("position %d holds %.40q: %w", e.Position, e.Data, err)
	}
	events := eventsOf(p.w, p.n)
	if p.i >= len(events) || p.of != len(events) {
		return p, fmt.Errorf("position %d says that it is event %d of %d of commit %d of writer %d", e.Position, p.i, p.of, p.n, p.w)
	}
	want := &events[p.i]
	if e.Stream != want.Stream || e.Type != want.Type || !bytes.Equal(e.Data, want.Data) || !slices.Equal(e.Tags, want.Tags) {
		return p, fmt.Errorf("position %d is not what writer %d appended as event %d of commit %d: %v", e.Position, p.w, p.i, p.n, e)
	}
	return p, nil
}
