package storetest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

func eventRules() []rule {
	return []rule{
		{"every field that the writer sets is kept", keepsAll},
		{"a payload of 0 bytes is kept, nil and empty are the same", emptyPayload},
		{"a payload is kept byte for byte", payloadKept},
		{"a payload of 64 KiB is kept", largePayload},
		{"metadata that is nil or empty comes back as nil", emptyMetadata},
		{"tags that are nil or empty come back as nil", emptyTags},
		{"tags keep their order, and the same tag twice is kept once", tagsOnce},
		{"an id made by the store is unique and of version 7", storeIDs},
		{"ids made by the store are not issued again after reopening", idsAfterReopen},
		{"an id given by the writer is kept", ownIDs},
		{"one recorded time per commit, the one in the receipt", recordedOnce},
		{"recorded times never decrease", recordedIncreases},
		{"recorded times survive reopening and do not decrease after it", recordedAfterReopen},
		{"recorded time and time are in UTC", timesUTC},
		{"Time is Recorded when the writer does not say", timeDefault},
		{"Time is kept to the nanosecond, from year 1 to 9999", timeKept},
		{"a Time outside the years 1 to 9999 is refused", timeRefused},
		{"the writer's slices and maps can be reused at once", writerReuses},
		{"what Read yields is the reader's own", readersOwn},
		{"what Follow yields is the follower's own", followersOwn},
	}
}

func keepsAll(h *harness) {
	given := eventstore.NewEvent{
		Stream: "cart-7", ID: uuid.New(), Type: "cart.item-added", SchemaVersion: math.MaxUint32, Codec: "json",
		Data: []byte(`{"sku":1}`), Metadata: eventstore.Metadata{"actor": "me", "empty": "", "ключ": "значение"},
		Tags: []eventstore.Tag{"sku:1", "customer:42"}, Time: time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC),
	}
	h.write(event("cart-7", "x"))
	receipt := h.write(given)
	expected := []eventstore.Event{{
		Position: receipt.First, Stream: given.Stream, Version: 2, ID: given.ID, Type: given.Type,
		SchemaVersion: given.SchemaVersion, Codec: given.Codec, Data: given.Data, Metadata: given.Metadata,
		Tags: given.Tags, Recorded: receipt.Recorded, Time: given.Time,
	}}
	h.sameEvents("by Read", expected, h.read(byType(given.Type), everything))
	h.sameEvents("by Follow", expected, h.follow(byType(given.Type), 0).reach(h.head()))
}

func emptyPayload(h *harness) {
	none, empty := event("a", "x"), event("a", "x")
	empty.Data = []byte{}
	for _, e := range h.seed(none, empty) {
		if e.Data == nil || len(e.Data) != 0 {
			h.Fatalf("data: expected empty and not nil, found %#v", e.Data)
		}
	}
	for _, e := range h.follow(eventstore.All(), 0).reach(h.head()) {
		if e.Data == nil || len(e.Data) != 0 {
			h.Fatalf("data by Follow: expected empty and not nil, found %#v", e.Data)
		}
	}
}

func payloadKept(h *harness) {
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	payloads := [][]byte{every, {0}, {0, 0, 0}, {0xff}, []byte("\r\n"), []byte("é\xff")}
	var events []eventstore.NewEvent
	for _, p := range payloads {
		e := event("a", "x")
		e.Data = p
		events = append(events, e)
	}
	for i, e := range h.seed(events...) {
		h.equal(fmt.Sprintf("payload %d", i), payloads[i], e.Data)
	}
}

func largePayload(h *harness) {
	random := rand.New(rand.NewPCG(1, 2))
	e := event("a", "x")
	e.Data = make([]byte, min(64<<10, h.store.Info().Limits.PayloadBytes))
	for i := range e.Data {
		e.Data[i] = byte(random.Uint32())
	}
	log := h.seed(event("a", "before"), e, event("a", "after"))
	if !bytes.Equal(e.Data, log[1].Data) {
		h.Fatalf("a payload of %d bytes came back changed, with %d bytes", len(e.Data), len(log[1].Data))
	}
}

func emptyMetadata(h *harness) {
	none, empty := event("a", "x"), event("a", "x")
	empty.Metadata = eventstore.Metadata{}
	for _, e := range h.seed(none, empty) {
		if e.Metadata != nil {
			h.Fatalf("metadata: expected nil, found %#v", e.Metadata)
		}
	}
}

func emptyTags(h *harness) {
	none, empty := event("a", "x"), event("a", "x")
	empty.Tags = []eventstore.Tag{}
	for _, e := range h.seed(none, empty) {
		if e.Tags != nil {
			h.Fatalf("tags: expected nil, found %#v", e.Tags)
		}
	}
}

func tagsOnce(h *harness) {
	log := h.seed(event("a", "x", "z", "b", "z", "a", "b", "z"))
	h.equal("tags", []eventstore.Tag{"z", "b", "a"}, log[0].Tags)
	h.sameEvents("by the tag", log, h.read(byTag("z"), everything))
}

func storeIDs(h *harness) {
	h.bulk(500, func(int) eventstore.NewEvent { return event("a", "x") })
	h.write(event("a", "x"))
	h.uniqueIDs(h.all())
}

func (h *harness) uniqueIDs(events []eventstore.Event) {
	h.Helper()
	seen := make(map[uuid.UUID]eventstore.Position)
	for _, e := range events {
		if e.ID.Version() != 7 {
			h.Fatalf("id made by the store at position %d: expected version 7, found %v of version %d", e.Position, e.ID, e.ID.Version())
		}
		if other, twice := seen[e.ID]; twice {
			h.Fatalf("id made by the store: expected a new one at position %d, found %v of position %d", e.Position, e.ID, other)
		}
		seen[e.ID] = e.Position
	}
}

func idsAfterReopen(h *harness) {
	h.write(event("a", "x"), event("a", "x"))
	h.reopen()
	h.write(event("a", "x"), event("a", "x"))
	h.uniqueIDs(h.all())
}

func ownIDs(h *harness) {
	events := withIDs(event("a", "x"), event("", "x"))
	events = append(events, event("a", "x"))
	log := h.seed(events...)
	h.equal("first id", events[0].ID, log[0].ID)
	h.equal("second id", events[1].ID, log[1].ID)
	if log[2].ID == uuid.Nil {
		h.Fatalf("id of an event without one: expected one made by the store, found the zero UUID")
	}
}

func recordedOnce(h *harness) {
	var events []eventstore.NewEvent
	for range 20 {
		events = append(events, event("a", "x"))
	}
	receipt := h.write(events...)
	if receipt.Recorded.IsZero() {
		h.Fatalf("recorded time of the receipt: expected a time, found the zero Time")
	}
	for _, e := range h.all() {
		if !e.Recorded.Equal(receipt.Recorded) {
			h.Fatalf("recorded time at position %d: expected %v as in the receipt, found %v", e.Position, receipt.Recorded, e.Recorded)
		}
	}
}

func recordedIncreases(h *harness) {
	h.parallel(3, func(int) error {
		for range 10 {
			if _, err := h.try(unconditional(event("a", "x"))); err != nil {
				return err
			}
		}
		return nil
	})
	h.recordedInOrder(h.all())
}

func (h *harness) recordedInOrder(log []eventstore.Event) {
	h.Helper()
	for i := 1; i < len(log); i++ {
		if log[i].Recorded.Before(log[i-1].Recorded) {
			h.Fatalf("recorded times: expected none to decrease, found %v at position %d after %v",
				log[i].Recorded, log[i].Position, log[i-1].Recorded)
		}
	}
}

func recordedAfterReopen(h *harness) {
	log := h.seed(event("a", "x"), event("a", "x"))
	h.reopen()
	h.sameEvents("the log after reopening", log, h.all())
	h.write(event("a", "x"))
	h.recordedInOrder(h.all())
}

func timesUTC(h *harness) {
	zoned := event("a", "x")
	zoned.Time = time.Date(2020, 1, 1, 0, 30, 0, 0, time.FixedZone("east", 3600))
	receipt := h.write(event("a", "x"), zoned)
	h.equal("zone of the receipt's recorded time", time.UTC, receipt.Recorded.Location())
	for _, e := range h.all() {
		h.equal("zone of the recorded time", time.UTC, e.Recorded.Location())
		h.equal("zone of the time", time.UTC, e.Time.Location())
	}
	h.equal("time given in another zone", "2019-12-31T23:30:00Z", h.all()[1].Time.Format(time.RFC3339Nano))
}

func timeDefault(h *harness) {
	for _, e := range h.seed(event("a", "x"), event("", "x")) {
		if !e.Time.Equal(e.Recorded) {
			h.Fatalf("time: expected the recorded time %v, found %v", e.Recorded, e.Time)
		}
	}
}

func timeKept(h *harness) {
	times := []time.Time{
		time.Time{}.Add(1),
		time.Date(1, 6, 7, 8, 9, 10, 11, time.UTC),
		time.Date(1677, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Unix(0, 0).UTC(),
		time.Date(2024, 2, 29, 12, 0, 0, 123_456_789, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	}
	var events []eventstore.NewEvent
	for _, at := range times {
		e := event("a", "x")
		e.Time = at
		events = append(events, e)
	}
	for i, e := range h.seed(events...) {
		h.equal("time", times[i].Format(time.RFC3339Nano), e.Time.Format(time.RFC3339Nano))
	}
}

func timeRefused(h *harness) {
	for _, at := range []time.Time{time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		e := event("a", "x")
		e.Time = at
		h.fails(unconditional(e), eventstore.ErrInvalid)
	}
}

func writerReuses(h *harness) {
	e := event("a", "x", "t1", "t2")
	e.Data = []byte("data")
	e.Metadata = eventstore.Metadata{"k": "v"}
	item := eventstore.Item{Tags: []eventstore.Tag{"never"}}
	c := eventstore.Commit{
		Key:    "k",
		Events: []eventstore.NewEvent{e, event("b", "y")},
		Expect: []eventstore.Expect{{Stream: "a", At: eventstore.Any}, {Stream: "b", At: eventstore.Any}},
		Guards: []eventstore.Guard{{Query: eventstore.Match(item)}},
	}
	receipt := h.append(c)
	expected := h.all()

	copy(e.Data, "XXXX")
	e.Tags[0], e.Tags[1] = "X", "X"
	e.Metadata["k"], e.Metadata["x"] = "X", "X"
	c.Events[0], c.Events[1] = event("X", "X"), event("X", "X")
	c.Expect[0].Stream, c.Expect[1].Stream = "X", "X"
	receipt.Heads[0].Stream = "X"

	h.equal("data", "data", string(expected[0].Data))
	h.sameEvents("the log after the writer changed its slices", expected, h.all())
	h.sameEvents("by tag", expected[:1], h.read(byTag("t1"), everything))
	h.sameEvents("by stream", expected[:1], h.read(eventstore.Stream("a"), everything))
	again, _ := h.lookup("k")
	h.equal("heads by Lookup", []eventstore.StreamHead{{Stream: "a", Version: 1}, {Stream: "b", Version: 1}}, again.Heads)
}

// rich is an event with every field that a reader could change.
func rich() eventstore.NewEvent {
	e := event("a", "x", "t1", "t2")
	e.Data = []byte("data")
	e.Metadata = eventstore.Metadata{"k": "v"}
	return e
}

// spoil changes everything that an event refers to.
func spoil(e eventstore.Event) {
	for i := range e.Data {
		e.Data[i] = 'X'
	}
	for i := range e.Tags {
		e.Tags[i] = "X"
	}
	e.Metadata["k"], e.Metadata["x"] = "X", "X"
	_ = append(e.Data, "XXXXXXXX"...)
	_ = append(e.Tags, "X")
}

// copied returns copies of the events that share no memory with them, so that a
// change of memory by the store shows.
func copied(events []eventstore.Event) []eventstore.Event {
	copies := slices.Clone(events)
	for i := range copies {
		copies[i].Data = slices.Clone(copies[i].Data)
		copies[i].Tags = slices.Clone(copies[i].Tags)
		copies[i].Metadata = maps.Clone(copies[i].Metadata)
	}
	return copies
}

func readersOwn(h *harness) {
	h.write(rich(), rich())
	expected := copied(h.all())
	for _, e := range h.all() {
		spoil(e)
	}
	h.sameEvents("the log after a reader changed what it read", expected, h.all())
	h.sameEvents("by Follow", expected, h.follow(eventstore.All(), 0).reach(h.head()))
	h.sameEvents("by tag", expected, h.read(byTag("t1"), everything))
}

func followersOwn(h *harness) {
	waiting := h.follow(eventstore.All(), 0)
	waiting.batch()
	other := h.follow(eventstore.All(), 0)
	other.batch()
	h.write(rich(), rich())
	expected := copied(h.all())
	for _, e := range waiting.reach(h.head()) {
		spoil(e)
	}
	h.sameEvents("by another follower", expected, other.reach(h.head()))
	h.sameEvents("by Read", expected, h.all())
	h.sameEvents("by a later follower", expected, h.follow(eventstore.All(), 0).reach(h.head()))
}
