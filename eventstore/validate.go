package eventstore

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yore-es/yore/internal/quote"
)

// Validate returns ErrInvalid or ErrTooLarge for a commit that every store refuses. The
// message names the part and the rule. Every Append begins with it.
func Validate(c Commit) error { return StandardLimits().Validate(c) }

// ValidateRead returns ErrInvalid or ErrTooLarge for a query and options that every store
// refuses.
func ValidateRead(q Query, opts ReadOptions) error { return StandardLimits().ValidateRead(q, opts) }

// ValidateKey returns ErrInvalid or ErrTooLarge for a key that no commit can have. The
// empty string is not a key.
func ValidateKey(key string) error {
	limits := StandardLimits()
	return limits.name("key", key)
}

// Validate is the function [Validate] with these limits.
func (l Limits) Validate(c Commit) error {
	if len(c.Events) == 0 {
		return invalidf("commit without events")
	}
	if c.Key != "" {
		if err := l.name("key", c.Key); err != nil {
			return err
		}
	}
	if err := validateDigest(c.Key, c.Digest); err != nil {
		return err
	}
	if err := atMost("events in a commit", len(c.Events), l.EventsPerCommit); err != nil {
		return err
	}
	if err := atMost("expectations in a commit", len(c.Expect), l.ExpectationsPerCommit); err != nil {
		return err
	}
	if err := atMost("guards in a commit", len(c.Guards), l.GuardsPerCommit); err != nil {
		return err
	}
	if err := l.events(c.Events); err != nil {
		return err
	}
	if err := l.expectations(&c); err != nil {
		return err
	}
	return l.guards(c.Guards)
}

// events checks the events of a commit. It ends with the first event that passes a limit
// of the commit.
func (l *Limits) events(events []NewEvent) error {
	content, names, tags := 0, 0, 0
	for i := range events {
		n, err := l.event(events, i)
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		content += n
		names += events[i].nameBytes()
		tags += len(events[i].Tags)
		if err := atMost("bytes of payload and metadata in a commit", content, l.CommitBytes); err != nil {
			return err
		}
		if err := atMost("bytes of streams, types, codecs and tags in a commit", names, l.CommitBytes); err != nil {
			return err
		}
		if err := atMost("tags in a commit", tags, l.TagsPerCommit); err != nil {
			return err
		}
	}
	return nil
}

// guards checks the guards of a commit.
func (l *Limits) guards(guards []Guard) error {
	names := 0
	for i, g := range guards {
		n, err := l.query(g.Query)
		if err != nil {
			return fmt.Errorf("guard %d: %w", i, err)
		}
		names += n
		if err := atMost("names in the guards of a commit", names, l.NamesPerCommit); err != nil {
			return err
		}
	}
	return nil
}

// maxDigest is the most bytes of a commit's digest.
const maxDigest = 32

func validateDigest(key string, digest []byte) error {
	if len(digest) > 0 && key == "" {
		return invalidf("a commit with a digest and without a key")
	}
	return atMost("bytes of a commit's digest", len(digest), maxDigest)
}

// ValidateRead is the function [ValidateRead] with these limits.
func (l Limits) ValidateRead(q Query, opts ReadOptions) error {
	if opts.Limit < 0 {
		return invalidf("read limit %d is negative", opts.Limit)
	}
	if _, err := l.query(q); err != nil {
		return err
	}
	if opts.FromVersion > 0 || opts.ToVersion > 0 {
		if _, ok := q.OneStream(); !ok {
			return invalidf("FromVersion and ToVersion are for a query of one stream, not for %v", q)
		}
	}
	return nil
}

// event checks the i-th event, and returns the number of bytes of its payload and
// metadata. It does not check names again that are the same as in the event before.
func (l *Limits) event(events []NewEvent, i int) (int, error) {
	e := &events[i]
	if i == 0 || !e.hasNamesOf(&events[i-1]) {
		if err := l.names(e); err != nil {
			return 0, err
		}
	}
	if err := atMost("bytes of payload", len(e.Data), l.PayloadBytes); err != nil {
		return 0, err
	}
	metadata, err := e.Metadata.size()
	if err != nil {
		return 0, err
	}
	if err := atMost("bytes of metadata", metadata, l.MetadataBytes); err != nil {
		return 0, err
	}
	if !e.Time.IsZero() {
		if year := e.Time.UTC().Year(); year < 1 || year > 9999 {
			return 0, invalidf("time in year %d, outside 1 to 9999", year)
		}
	}
	return len(e.Data) + metadata, nil
}

func (e *NewEvent) hasNamesOf(other *NewEvent) bool {
	return e.Stream == other.Stream && e.Type == other.Type && e.Codec == other.Codec && slices.Equal(e.Tags, other.Tags)
}

// nameBytes returns the number of bytes of the event's stream, type, codec and tags.
func (e *NewEvent) nameBytes() int {
	n := len(e.Stream) + len(e.Type) + len(e.Codec)
	for _, tag := range e.Tags {
		n += len(tag)
	}
	return n
}

func (l *Limits) names(e *NewEvent) error {
	if e.Stream != "" {
		if err := l.stream(e.Stream); err != nil {
			return err
		}
	}
	if err := l.name("type", e.Type); err != nil {
		return err
	}
	if e.Codec != "" {
		if err := l.name("codec", e.Codec); err != nil {
			return err
		}
	}
	return l.tags(e.Tags)
}

// expectations checks that every written stream has an expectation, and that no stream
// has two.
func (l *Limits) expectations(c *Commit) error {
	const few = 8 // up to this number a search of the slice costs less than a map
	var names map[StreamID]struct{}
	if len(c.Expect) > few {
		names = make(map[StreamID]struct{}, len(c.Expect))
	}
	among := func(n int, stream StreamID) bool { // the first n
		if names != nil {
			_, ok := names[stream]
			return ok
		}
		return slices.ContainsFunc(c.Expect[:n], func(x Expect) bool { return x.Stream == stream })
	}
	for i, x := range c.Expect {
		if err := l.expectation(i, x); err != nil {
			return err
		}
		if among(i, x.Stream) {
			return fmt.Errorf("expectation %d: %w", i, invalidf("stream %s has one already", quote.Name(string(x.Stream))))
		}
		if names != nil {
			names[x.Stream] = struct{}{}
		}
	}
	for i := range c.Events {
		stream := c.Events[i].Stream
		if i > 0 && stream == c.Events[i-1].Stream {
			continue
		}
		if stream != "" && !among(len(c.Expect), stream) {
			return fmt.Errorf("event %d: %w", i, invalidf("stream %s is written without an expectation", quote.Name(string(stream))))
		}
	}
	return nil
}

func (l *Limits) expectation(i int, x Expect) error {
	if err := l.stream(x.Stream); err != nil {
		return fmt.Errorf("expectation %d: %w", i, err)
	}
	if x.At == 0 {
		return fmt.Errorf("expectation %d: %w", i, invalidf("stream %s: the zero Expectation says nothing", quote.Name(string(x.Stream))))
	}
	if !x.At.valid() {
		return fmt.Errorf("expectation %d: %w", i, invalidf(
			"stream %s: the Expectation %d was made by converting a number and says nothing; use eventstore.At(…), NoStream, Exists or Any",
			quote.Name(string(x.Stream)), uint64(x.At)))
	}
	return nil
}

// query checks a query, and returns the number of names in it.
func (l *Limits) query(q Query) (names int, err error) {
	if q.all {
		return 0, nil
	}
	if len(q.items) == 0 {
		return 0, invalidf("the zero Query names nothing; every event is eventstore.All()")
	}
	if err := atMost("items in a query", len(q.items), l.ItemsPerQuery); err != nil {
		return 0, err
	}
	for i := range q.items {
		names += q.items[i].names()
		if err := l.item(&q.items[i]); err != nil {
			return 0, fmt.Errorf("query item %d: %w", i, err)
		}
		if err := atMost("names in a query", names, l.NamesPerQuery); err != nil {
			return 0, err
		}
	}
	return names, nil
}

func (l *Limits) item(it *Item) error {
	if it.namesNothing() {
		return invalidf("names nothing; every event is eventstore.All()")
	}
	if err := atMost("names in an item", it.names(), l.NamesPerItem); err != nil {
		return err
	}
	for _, stream := range it.Streams {
		if err := l.stream(stream); err != nil {
			return err
		}
	}
	for _, category := range it.Categories {
		if err := l.name("category", category); err != nil {
			return err
		}
		if strings.Contains(category, "-") {
			return invalidf("category %s contains a dash", quote.Name(category))
		}
	}
	for _, eventType := range it.Types {
		if err := l.name("type", eventType); err != nil {
			return err
		}
	}
	return l.tags(it.Tags)
}

func (l *Limits) stream(id StreamID) error {
	if err := l.name("stream", string(id)); err != nil {
		return err
	}
	if id[0] == '-' {
		return invalidf("stream %s starts with a dash, so its category is empty", quote.Name(string(id)))
	}
	return nil
}

func (l *Limits) tags(tags []Tag) error {
	if err := atMost("tags", len(tags), l.TagsPerEvent); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := l.name("tag", string(tag)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Limits) name(what, name string) error {
	switch {
	case name == "":
		return invalidf("%s is empty", what)
	case len(name) > l.NameBytes:
		return &LimitError{What: "bytes of " + what, Size: len(name), Limit: l.NameBytes}
	case strings.IndexByte(name, 0) >= 0:
		return invalidf("%s %s contains NUL", what, quote.Name(name))
	case !utf8.ValidString(name):
		return invalidf("%s %s is not UTF-8", what, quote.Name(name))
	}
	return nil
}

func atMost(what string, size, limit int) error {
	if size > limit {
		return &LimitError{What: what, Size: size, Limit: limit}
	}
	return nil
}
