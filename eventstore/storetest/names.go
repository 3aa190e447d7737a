package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

func nameRules() []rule {
	rules := []rule{
		{"streams are told apart byte for byte", streamNames},
		{"categories are told apart byte for byte", categoryNames},
		{"types are told apart byte for byte", typeNames},
		{"tags are told apart byte for byte", tagNames},
		{"tags with the same part before the colon are two tags", tagsWithColon},
		{"tags are not run together", tagsNotJoined},
		{"a stream that starts with a dash is refused", leadingDash},
		{"a category with a dash is refused", categoryWithDash},
	}
	for _, k := range kindsOfName() {
		rules = append(rules,
			rule{fmt.Sprintf("a %s at the limit of bytes works", k.kind), k.atLimit},
			rule{fmt.Sprintf("a %s of one byte more is too large", k.kind), k.overLimit},
			rule{fmt.Sprintf("a %s with NUL is refused", k.kind), k.refuses("a\x00b", "\x00", "a\x00")},
			rule{fmt.Sprintf("a %s that is not UTF-8 is refused", k.kind), k.refuses("a\xffb", "\xc3", "\xed\xa0\x80")})
		if !k.optional {
			rules = append(rules, rule{fmt.Sprintf("an empty %s is refused", k.kind), k.refuses("")})
		}
	}
	return rules
}

// difficult returns names that a store could confuse or split.
func difficult(h *harness) []string {
	limit := h.store.Info().Limits.NameBytes
	return []string{
		"a", "a-b", "ab", "a-", "a--b", "a-b-c", "b", "A", "a ", " a", "a b", "a/b", "a/", "/", "a%2Fb", "a%", "%", "a:b", "a|b",
		"yore.a", "yore/a", "yore-a", // which the library itself writes
		"a.b", "a*", "*", ">", "a>", "a\\b", "a\"b", "a'b", "a\nb", "a\tb", "a\x01", "a\x7f", "..", "?", "#", "a=1", "a,b", "{a}",
		"\u00e9", "e\u0301", "\u65e5\u672c-1", "\u65e5\u672c", "\U0001f6d2", "\u200b", "\u200ba", "\ufeffa", "\uffff", "\U0010ffff",
		strings.Repeat("a", limit), strings.Repeat("a", limit-1), strings.Repeat("a", limit-1) + "b",
	}
}

func streamNames(h *harness) {
	var events []eventstore.NewEvent
	for _, name := range difficult(h) {
		events = append(events, event(eventstore.StreamID(name), "x"))
	}
	log := append(h.seed(events...), h.seed(events...)...)
	for i, e := range events {
		h.equal("name of the stream", e.Stream, log[i].Stream)
		h.sameEvents(fmt.Sprintf("stream %q", e.Stream), pick(log, i, i+len(events)), h.read(eventstore.Stream(e.Stream), everything))
		h.equal(fmt.Sprintf("versions of stream %q", e.Stream), []eventstore.Version{1, 2}, versionsOf(pick(log, i, i+len(events))))
	}
}

func categoryNames(h *harness) {
	var events []eventstore.NewEvent
	for _, name := range difficult(h) {
		events = append(events, event(eventstore.StreamID(name), "x"))
	}
	log := h.seed(events...)
	for _, e := range events {
		q := eventstore.Category(e.Stream.Category())
		h.sameEvents(q.String(), matching(q, log), h.read(q, everything))
	}
}

func typeNames(h *harness) {
	var events []eventstore.NewEvent
	for _, name := range difficult(h) {
		events = append(events, event("", name))
	}
	log := h.seed(events...)
	for i, e := range events {
		h.equal("type", e.Type, log[i].Type)
		h.sameEvents(fmt.Sprintf("type %q", e.Type), log[i:i+1], h.read(byType(e.Type), everything))
	}
}

func tagNames(h *harness) {
	var events []eventstore.NewEvent
	for _, name := range difficult(h) {
		events = append(events, event("", "x", eventstore.Tag(name)))
	}
	log := h.seed(events...)
	for i, e := range events {
		h.equal("tags", e.Tags, log[i].Tags)
		h.sameEvents(fmt.Sprintf("tag %q", e.Tags[0]), log[i:i+1], h.read(byTag(e.Tags[0]), everything))
	}
}

func tagsWithColon(h *harness) {
	log := h.seed(event("", "x", "sku:1", "sku:2"), event("", "x", "sku:1"), event("", "x", "sku:2"), event("", "x", "sku"), event("", "x", "sku:"))
	h.equal("tags", []eventstore.Tag{"sku:1", "sku:2"}, log[0].Tags)
	h.selected(byTag("sku:1", "sku:2"), log[:1])
	h.selected(byTag("sku:1"), pick(log, 0, 1))
	h.selected(byTag("sku"), pick(log, 3))
	h.selected(byTag("sku:"), pick(log, 4))
}

func tagsNotJoined(h *harness) {
	log := h.seed(event("", "x", "ab", "c"), event("", "x", "a", "bc"), event("", "x", "abc"), event("", "x", "c", "ab"))
	h.selected(byTag("ab", "c"), pick(log, 0, 3))
	h.selected(byTag("a", "bc"), pick(log, 1))
	h.selected(byTag("abc"), pick(log, 2))
}

func leadingDash(h *harness) {
	for _, name := range []eventstore.StreamID{"-", "-a", "--"} {
		h.fails(unconditional(event(name, "x")), eventstore.ErrInvalid)
		h.refused(eventstore.Stream(name), eventstore.ErrInvalid)
		c := unconditional(event("a", "x"))
		c.Expect = append(c.Expect, eventstore.Expect{Stream: name, At: eventstore.Any})
		h.fails(c, eventstore.ErrInvalid)
	}
}

func categoryWithDash(h *harness) {
	h.write(event("cart-1", "x"))
	for _, name := range []string{"cart-1", "cart-", "-"} {
		h.refused(eventstore.Category(name), eventstore.ErrInvalid)
	}
}

// kindOfName is a place for a name.
type kindOfName struct {
	kind     string
	optional bool // "" is allowed and means none
	commit   func(name string) eventstore.Commit
	query    func(name string) eventstore.Query // nil if a query has no such name
}

func kindsOfName() []kindOfName {
	return []kindOfName{
		{"stream", true, func(name string) eventstore.Commit {
			return unconditional(event(eventstore.StreamID(name), "x"))
		}, func(name string) eventstore.Query { return eventstore.Stream(eventstore.StreamID(name)) }},
		{"type", false, func(name string) eventstore.Commit {
			return unconditional(event("a", name))
		}, func(name string) eventstore.Query { return byType(name) }},
		{"tag", false, func(name string) eventstore.Commit {
			return unconditional(event("a", "x", "before", eventstore.Tag(name)))
		}, func(name string) eventstore.Query { return byTag(eventstore.Tag(name)) }},
		{"category", false, nil, eventstore.Category},
		{"codec", true, func(name string) eventstore.Commit {
			c := unconditional(event("a", "x"))
			c.Events[0].Codec = name
			return c
		}, nil},
		{"key", true, func(name string) eventstore.Commit {
			c := unconditional(event("a", "x"))
			c.Key = name
			return c
		}, nil},
	}
}

func (k kindOfName) atLimit(h *harness) {
	name := strings.Repeat("n", h.store.Info().Limits.NameBytes)
	if k.commit == nil {
		h.write(event(eventstore.StreamID(name), "x"))
	} else {
		h.append(k.commit(name))
	}
	if k.query != nil {
		h.selected(k.query(name), h.all())
	}
	if k.kind == "key" {
		_, found := h.lookup(name)
		h.equal("Lookup of the longest key", true, found)
	}
	if k.kind == "codec" {
		h.equal("codec", name, h.all()[0].Codec)
	}
}

func (k kindOfName) overLimit(h *harness) {
	k.refused(h, strings.Repeat("n", h.store.Info().Limits.NameBytes+1), eventstore.ErrTooLarge)
}

// refuses is the rule that the names are refused in this place.
func (k kindOfName) refuses(names ...string) func(*harness) {
	return func(h *harness) {
		for _, name := range names {
			k.refused(h, name, eventstore.ErrInvalid)
		}
	}
}

func (k kindOfName) refused(h *harness, name string, want error) {
	h.Helper()
	if k.commit != nil {
		h.fails(k.commit(name), want)
	}
	if k.query != nil {
		h.refused(k.query(name), want)
	}
	switch k.kind {
	case "key":
		if errors.Is(want, eventstore.ErrTooLarge) {
			return // a store may look up with the standard limits
		}
		h.step("Lookup of %q", name)
		_, _, err := h.store.Lookup(h.ctx, name)
		h.matches("Lookup", err, want)
	case "stream":
		c := unconditional(event("a", "x"))
		c.Expect = append(c.Expect, eventstore.Expect{Stream: eventstore.StreamID(name), At: eventstore.Any})
		h.fails(c, want)
	}
}
