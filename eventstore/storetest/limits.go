package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

func limitRules() []rule {
	return []rule{
		{"the limits are the standard ones or less", limitsKnown},
		{"a payload at the limit is kept, one byte more is too large", payloadLimit},
		{"metadata at the limit is kept, one byte more is too large", metadataLimit},
		{"tags of an event at the limit are kept, one more is too large", tagLimit},
		{"tags of a query's item at the limit match, one more is too large", itemTagLimit},
		{"items of a query at the limit match, one more is too large", itemLimit},
		{"names of a query's item at the limit match, one more is too large", itemNameLimit},
		{"names of a query at the limit match, one more is too large", queryNameLimit},
		{"guards of a commit at the limit are judged, one more is too large", guardLimit},
		{"names in the guards of a commit at the limit are judged, one more is too large", guardNameLimit},
		{"expectations of a commit at the limit are judged, one more is too large", expectationLimit},
		{"events of a commit at the limit are kept, one more is too large", eventLimit},
		{"bytes of a commit at the limit are kept, one more is too large", commitLimit},
		{"tags of a commit at the limit are kept, one more is too large", commitTagLimit},
		{"names and tags of a commit above the limit are too large", commitNameLimit},
	}
}

// tooLarge appends a commit that is over a limit.
func (h *harness) tooLarge(c eventstore.Commit) {
	h.Helper()
	h.isLimit(h.failure(c, eventstore.ErrTooLarge))
}

// unreadable reads and follows with a query that is over a limit.
func (h *harness) unreadable(q eventstore.Query) {
	h.Helper()
	_, err := h.tryRead(h.ctx, q, everything)
	h.matches("Read", err, eventstore.ErrTooLarge)
	h.isLimit(err)
	h.matches("Follow", h.follow(q, 0).ended(), eventstore.ErrTooLarge)
}

func (h *harness) isLimit(err error) {
	h.Helper()
	var limit *eventstore.LimitError
	if !errors.As(err, &limit) {
		h.Fatalf("too large: expected a *LimitError, found %T: %v", err, err)
	}
	if limit.Size <= limit.Limit || limit.What == "" {
		h.Fatalf("*LimitError: expected what is exceeded and by how much, found %+v", *limit)
	}
}

func limitsKnown(h *harness) {
	own, standard := h.store.Info().Limits, eventstore.StandardLimits()
	for _, limit := range []struct {
		name          string
		own, standard int
	}{
		{"NameBytes", own.NameBytes, standard.NameBytes},
		{"TagsPerEvent", own.TagsPerEvent, standard.TagsPerEvent},
		{"ItemsPerQuery", own.ItemsPerQuery, standard.ItemsPerQuery},
		{"NamesPerItem", own.NamesPerItem, standard.NamesPerItem},
		{"NamesPerQuery", own.NamesPerQuery, standard.NamesPerQuery},
		{"PayloadBytes", own.PayloadBytes, standard.PayloadBytes},
		{"MetadataBytes", own.MetadataBytes, standard.MetadataBytes},
		{"EventsPerCommit", own.EventsPerCommit, standard.EventsPerCommit},
		{"CommitBytes", own.CommitBytes, standard.CommitBytes},
		{"TagsPerCommit", own.TagsPerCommit, standard.TagsPerCommit},
		{"ExpectationsPerCommit", own.ExpectationsPerCommit, standard.ExpectationsPerCommit},
		{"NamesPerCommit", own.NamesPerCommit, standard.NamesPerCommit},
		{"GuardsPerCommit", own.GuardsPerCommit, standard.GuardsPerCommit},
	} {
		if limit.own < 1 || limit.own > limit.standard {
			h.Errorf("%s: expected 1 to %d, found %d", limit.name, limit.standard, limit.own)
		}
	}
}

// pattern returns n bytes in which a lost or moved part shows.
func pattern(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	return data
}

func payloadLimit(h *harness) {
	limit := h.store.Info().Limits.PayloadBytes
	e := event("a", "x")
	e.Data = pattern(limit)
	log := h.seed(e, event("a", "after"))
	if string(log[0].Data) != string(e.Data) {
		h.Fatalf("a payload of %d bytes came back changed, with %d bytes", limit, len(log[0].Data))
	}
	followed := h.follow(eventstore.All(), 0).reach(h.head())
	if len(followed) != 2 || len(followed[0].Data) != limit {
		h.Fatalf("following a payload of %d bytes: expected it and the event after it, found %d events", limit, len(followed))
	}
	e.Data = append(e.Data, 0)
	h.tooLarge(unconditional(e))
}

func metadataLimit(h *harness) {
	limit := h.store.Info().Limits.MetadataBytes
	e := event("a", "x")
	e.Metadata = eventstore.Metadata{"key": strings.Repeat("v", limit-9), "long": "vv"}
	log := h.seed(e)
	if len(log[0].Metadata) != 2 || log[0].Metadata["key"] != e.Metadata["key"] {
		h.Fatalf("metadata of %d bytes came back changed, with %d keys", limit, len(log[0].Metadata))
	}
	e.Metadata["long"] += "v"
	h.tooLarge(unconditional(e))
}

// manyTags returns n tags of the greatest length.
func (h *harness) manyTags(n int) []eventstore.Tag {
	var tags []eventstore.Tag
	for i := range n {
		tags = append(tags, eventstore.Tag(fmt.Sprintf("%0*d", h.store.Info().Limits.NameBytes, i)))
	}
	return tags
}

func tagLimit(h *harness) {
	limit := h.store.Info().Limits.TagsPerEvent
	tags := h.manyTags(limit + 1)
	log := h.seed(event("a", "x", tags[:limit]...), event("a", "x"))
	h.equal("tags", tags[:limit], log[0].Tags)
	h.sameEvents("by the last tag", log[:1], h.read(byTag(tags[limit-1]), everything))
	h.tooLarge(unconditional(event("a", "x", tags...)))
}

func itemTagLimit(h *harness) {
	limit := h.store.Info().Limits.TagsPerEvent
	tags := h.manyTags(limit + 1)
	log := h.seed(event("a", "x", tags[:limit]...), event("a", "x", tags[1:limit]...))
	h.sameEvents("by all tags", log[:1], h.read(byTag(tags[:limit]...), everything))
	h.unreadable(byTag(tags...))
	h.tooLarge(guarded(eventstore.Guard{Query: byTag(tags...)}))
}

func itemLimit(h *harness) {
	limit := h.store.Info().Limits.ItemsPerQuery
	var events []eventstore.NewEvent
	var items []eventstore.Item
	for i := range limit + 1 {
		name := fmt.Sprint(i)
		events = append(events, event("", name))
		items = append(items, eventstore.Item{Types: []string{name}})
	}
	log := h.seed(events...)
	h.sameEvents("by as many items as may be", log[:limit], h.read(eventstore.Match(items[:limit]...), everything))
	h.unreadable(eventstore.Match(items...))
	h.tooLarge(guarded(eventstore.Guard{Query: eventstore.Match(items...)}))
}

// absent returns n names of streams that have no events.
func absent(n int) []eventstore.StreamID {
	streams := make([]eventstore.StreamID, n)
	for i := range streams {
		streams[i] = eventstore.StreamID(fmt.Sprint("absent-", i))
	}
	return streams
}

func itemNameLimit(h *harness) {
	limit := h.store.Info().Limits.NamesPerItem
	log := h.seed(event("a", "x"), event("b", "x"), event("a", "y"))
	item := eventstore.Item{Types: []string{"x"}, Streams: append(absent(limit-2), "a")}
	h.sameEvents("by as many names as may be", log[:1], h.read(eventstore.Match(item), everything))
	item.Types = append(item.Types, "z")
	h.unreadable(eventstore.Match(item))
	h.tooLarge(guarded(eventstore.Guard{Query: eventstore.Match(item)}))
}

// named returns a query with n names. The last one is stream, and the others match nothing.
func (h *harness) named(n int, stream eventstore.StreamID) eventstore.Query {
	h.Helper()
	limits := h.store.Info().Limits
	var items []eventstore.Item
	for streams := append(absent(n-1), stream); len(streams) > 0; {
		part := min(limits.NamesPerItem, len(streams))
		items = append(items, eventstore.Item{Streams: streams[:part]})
		streams = streams[part:]
	}
	if len(items) > limits.ItemsPerQuery {
		h.Skipf("the store's other limits keep a query below %d names", n)
	}
	return eventstore.Match(items...)
}

func queryNameLimit(h *harness) {
	limit := h.store.Info().Limits.NamesPerQuery
	log := h.seed(event("b", "x"), event("a", "x"))
	h.sameEvents("by as many names as may be", log[1:], h.read(h.named(limit, "a"), everything))
	h.unreadable(h.named(limit+1, "a"))
	h.tooLarge(guarded(eventstore.Guard{Query: h.named(limit+1, "a")}))
}

func guardNameLimit(h *harness) {
	limits := h.store.Info().Limits
	h.write(event("present", "x"))
	var guards []eventstore.Guard
	for rest := limits.NamesPerCommit; rest > 0; {
		part := min(limits.NamesPerQuery, rest)
		guards = append(guards, eventstore.Guard{Query: h.named(part, "absent")})
		rest -= part
	}
	if len(guards) >= limits.GuardsPerCommit {
		h.Skipf("the store's other limits keep the guards of a commit below Info().Limits.NamesPerCommit")
	}
	h.append(guarded(guards...))
	h.tooLarge(guarded(append(guards, eventstore.Guard{Query: eventstore.Stream("absent")})...))
	last := &guards[len(guards)-1]
	last.Query = eventstore.Stream("present")
	h.equal("index of the guard that fails", len(guards)-1, h.conflicts(guarded(guards...)).GuardIndex)
}

func expectationLimit(h *harness) {
	limit := h.store.Info().Limits.ExpectationsPerCommit
	h.write(event("present", "x"))
	c := unconditional(event("", "x"))
	for _, stream := range absent(limit) {
		c.Expect = append(c.Expect, eventstore.Expect{Stream: stream, At: eventstore.NoStream})
	}
	h.append(c)
	c.Expect[limit-1].Stream = "present"
	h.equal("stream of the expectation that fails", "present", string(h.conflicts(c).Stream))
	c.Expect = append(c.Expect, eventstore.Expect{Stream: "one-more", At: eventstore.NoStream})
	h.tooLarge(c)
}

func guardLimit(h *harness) {
	limit := h.store.Info().Limits.GuardsPerCommit
	h.write(event("", "x", "present"))
	guards := make([]eventstore.Guard, limit)
	for i := range guards {
		guards[i].Query = byTag(eventstore.Tag(fmt.Sprint("absent ", i)))
	}
	h.append(guarded(guards...))
	guards[limit-1].Query = byTag("present")
	h.equal("index of the guard that fails", limit-1, h.conflicts(guarded(guards...)).GuardIndex)
	h.tooLarge(guarded(append(guards, guards[0])...))
}

func eventLimit(h *harness) {
	limit := h.store.Info().Limits.EventsPerCommit
	events := make([]eventstore.NewEvent, limit+1)
	for i := range events {
		events[i] = event("a", "x")
	}
	receipt := h.append(unconditional(events[:limit]...))
	h.equal("heads", []eventstore.StreamHead{{Stream: "a", Version: eventstore.Version(limit)}}, receipt.Heads)
	if found := len(h.read(eventstore.Stream("a"), everything)); found != limit {
		h.Fatalf("events of the stream: expected %d, found %d", limit, found)
	}
	h.tooLarge(unconditional(events...))
}

func commitLimit(h *harness) {
	limits := h.store.Info().Limits
	full := pattern(limits.PayloadBytes)
	var events []eventstore.NewEvent
	for rest := limits.CommitBytes; rest > 0 && len(events) < limits.EventsPerCommit; rest -= limits.PayloadBytes {
		e := event("a", "x")
		e.Data = full[:min(rest, len(full))]
		events = append(events, e)
	}
	if len(events) == limits.EventsPerCommit {
		h.Skip("the store's other limits keep a commit below Info().Limits.CommitBytes")
	}
	h.append(unconditional(events...))
	stored := h.all()
	h.equal("number of events", len(events), len(stored))
	for i, e := range stored {
		if string(e.Data) != string(events[i].Data) {
			h.Fatalf("payload %d of a commit of %d bytes came back changed, with %d bytes", i+1, limits.CommitBytes, len(e.Data))
		}
	}
	last := &events[len(events)-1]
	last.Metadata = eventstore.Metadata{"k": ""}
	h.tooLarge(unconditional(events...))
}

func commitNameLimit(h *harness) {
	limits := h.store.Info().Limits
	tags := h.manyTags(limits.TagsPerEvent)
	n := limits.CommitBytes/(limits.TagsPerEvent*limits.NameBytes) + 1
	if n > limits.EventsPerCommit {
		h.Skipf("the store's other limits keep the names of a commit below Info().Limits.CommitBytes")
	}
	events := make([]eventstore.NewEvent, n)
	for i := range events {
		events[i] = event("", "x", tags...) // they share the memory of the tags
	}
	h.tooLarge(unconditional(events...))
}

func commitTagLimit(h *harness) {
	limits := h.store.Info().Limits
	tags := make([]eventstore.Tag, limits.TagsPerEvent)
	for i := range tags {
		tags[i] = eventstore.Tag(fmt.Sprint(i))
	}
	var events []eventstore.NewEvent
	for rest := limits.TagsPerCommit; rest > 0 && len(events) < limits.EventsPerCommit; rest -= len(tags) {
		events = append(events, event("", "x", tags[:min(rest, len(tags))]...))
	}
	if len(events) == limits.EventsPerCommit {
		h.Skip("the store's other limits keep a commit below Info().Limits.TagsPerCommit")
	}
	h.append(unconditional(events...))
	h.equal("events with the first tag", len(events), len(h.read(byTag(tags[0]), everything)))
	h.tooLarge(unconditional(append(events, event("", "x", tags[0]))...))
}
