package record

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// Contract checks that an Append could have written each record. A checksum shows
// that a record is unchanged, and not that a store has made it: a file or backup that was
// forged, or written by another program, has the right checksums too.
//
// It holds each event to the rules of [eventstore.Validate] and to what every store writes:
// each tag once, a version in a stream and at most the position, a place in a commit, a
// recorded time that a record can hold. It holds the events of one commit to the size and
// the tags of a commit and to one recorded time. That records follow each other, and the versions of a
// stream, are checked elsewhere; that fields have the one encoding that [Append] makes, by
// [Decode].
//
// The zero Contract is ready to use. It is not safe for concurrent use.
type Contract struct {
	last     eventstore.Position // of the last record, 0 before the first
	place    Place               // of the last record
	recorded time.Time           // of the last record
	bytes    int                 // payload and metadata of its commit, as far as they were seen
	tags     int                 // of its commit, as far as they were seen
}

// limits are those of every store that has written records of this format.
var limits = eventstore.StandardLimits()

// Earlier versions looked at the year of a clock in the clock's own time zone, so the UTC
// time may be up to a day outside the years 1678 to 2261.
var (
	firstRecorded = time.Date(1677, 12, 31, 0, 0, 0, 0, time.UTC)
	endRecorded   = time.Date(2262, 1, 2, 0, 0, 0, 0, time.UTC)
)

// Check returns the rule that the record breaks, in words, or "". Records must come in the
// order of their positions; some may be missing. A record that breaks a rule changes nothing
// in the Contract.
func (c *Contract) Check(r *Record) (broken string) {
	if broken := breaks(r); broken != "" {
		return broken
	}
	e, size, tags := &r.Event, 0, len(r.Event.Tags)
	if r.Place.N > 1 { // one event alone is smaller than a commit may be
		size = len(e.Data)
		for key, value := range e.Metadata {
			size += len(key) + len(value)
		}
	}
	if inside := c.last > 0 && e.Position == c.last+1 && r.Place.I > 0 && r.Place.I == c.place.I+1; inside {
		if !e.Recorded.Equal(c.recorded) {
			return fmt.Sprintf("recorded at %v, others of its commit at %v", e.Recorded, c.recorded)
		}
		size, tags = size+c.bytes, tags+c.tags
	}
	if tags > limits.TagsPerCommit {
		return fmt.Sprintf("its commit has more than %d tags", limits.TagsPerCommit)
	}
	if size > limits.CommitBytes {
		return fmt.Sprintf("its commit has more than %d bytes of payload and metadata", limits.CommitBytes)
	}
	c.last, c.place, c.recorded, c.bytes, c.tags = e.Position, r.Place, e.Recorded, size, tags
	return ""
}

// breaks returns the rule that the event breaks on its own, or "".
func breaks(r *Record) string {
	e := &r.Event
	event := newEvent(e)
	event.Time = e.Time // also if it is Recorded, so that its year is checked
	commit := eventstore.Commit{Key: r.Key, Digest: r.Digest, Events: []eventstore.NewEvent{event}}
	if e.Stream != "" {
		commit.Expect = []eventstore.Expect{{Stream: e.Stream, At: eventstore.Any}}
	}
	if err := limits.Validate(commit); err != nil {
		return err.Error()
	}
	switch {
	case e.Position == 0:
		return "position 0 is before the first"
	case e.ID == uuid.Nil:
		return "its id is zero"
	case (e.Stream == "") != (e.Version == 0):
		return fmt.Sprintf("version %d of stream %q", e.Version, e.Stream)
	case uint64(e.Version) > uint64(e.Position):
		return fmt.Sprintf("version %d at position %d, which is too high", e.Version, e.Position)
	case r.Place.I < 0 || r.Place.I >= r.Place.N:
		return fmt.Sprintf("event %d of a commit of %d", r.Place.I, r.Place.N)
	case r.Place.N > limits.EventsPerCommit:
		return fmt.Sprintf("a commit of %d events, at most %d", r.Place.N, limits.EventsPerCommit)
	case uint64(r.Place.I) >= uint64(e.Position):
		return fmt.Sprintf("event %d of a commit, at position %d: the commit began before the log", r.Place.I, e.Position)
	case r.Key != "" && r.Place.I > 0:
		return fmt.Sprintf("event %d of a commit has the commit's key", r.Place.I)
	case e.Recorded.Before(firstRecorded) || !e.Recorded.Before(endRecorded):
		return fmt.Sprintf("recorded at %v, outside the years 1678 to 2261", e.Recorded)
	case e.Time.IsZero():
		return "its time is the zero time, which means none"
	}
	if tag, twice := Twice(e.Tags); twice {
		return fmt.Sprintf("tag %q occurs twice", tag)
	}
	return ""
}

// Twice returns a tag that occurs more than once, and whether there is one.
func Twice(tags []eventstore.Tag) (eventstore.Tag, bool) {
	const few = 16 // up to this number, comparing all costs less than sorting
	if len(tags) <= few {
		for i, tag := range tags {
			if slices.Contains(tags[:i], tag) {
				return tag, true
			}
		}
		return "", false
	}
	sorted := slices.Sorted(slices.Values(tags))
	for i := range sorted[1:] {
		if sorted[i] == sorted[i+1] {
			return sorted[i], true
		}
	}
	return "", false
}

// newEvent returns the event that was appended as e, with the zero Time.
func newEvent(e *eventstore.Event) eventstore.NewEvent {
	return eventstore.NewEvent{
		Stream: e.Stream, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion, Codec: e.Codec,
		Data: e.Data, Metadata: e.Metadata, Tags: e.Tags,
	}
}
