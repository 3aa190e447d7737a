package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/yore-es/yore/eventstore"
)

// Record is a decoded record.
type Record struct {
	Event eventstore.Event
	Place Place
	// Key is the commit's key, in the commit's first event; otherwise "".
	Key string
}

// Decode decodes the record at position p. The result shares no memory with rec. If
// rec is not a record of that position, the error is a [*eventstore.CorruptError].
func Decode(p eventstore.Position, rec []byte) (Record, error) {
	r, reason := decode(p, rec)
	if reason != "" {
		return Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	return r, nil
}

// decode returns the record, or the reason why rec is not a record.
func decode(p eventstore.Position, rec []byte) (r Record, reason string) {
	data, reason := check(p, rec)
	if reason != "" {
		return r, reason
	}
	return decodeChecked(p, rec, data)
}

// decodeChecked is decode for a record that check has accepted, with the payload at
// data.
func decodeChecked(p eventstore.Position, rec []byte, data int) (r Record, reason string) {
	e := &r.Event
	e.Position = p
	e.Version = eventstore.Version(binary.BigEndian.Uint64(rec[offVersion:]))
	e.Recorded = time.Unix(0, int64(binary.BigEndian.Uint64(rec[offRecorded:]))).UTC()
	copy(e.ID[:], rec[offID:])

	// Fields and payload share one allocation. A reader may change the payload; the
	// names in the fields are strings, which cannot be changed.
	own := make([]byte, len(rec)-crcSize-offFields)
	copy(own, rec[offFields:])
	e.Data = own[data-offFields:]
	f := fields{rest: unsafe.String(unsafe.SliceData(own), data-offFields)}
	e.Time = e.Recorded
	f.upToTags(&r, rec[offFlags], nil)
	e.Metadata = f.metadata()
	switch {
	case f.broken:
		return Record{}, f.reason()
	case f.rest != "":
		return Record{}, fmt.Sprintf("%d bytes between fields and payload", len(f.rest))
	case r.Place.I >= r.Place.N:
		return Record{}, fmt.Sprintf("event %d of a commit of %d", r.Place.I, r.Place.N)
	}
	return r, ""
}

// A Matcher decodes the records that match a query. It decodes only as much of a
// record as it takes to decide. It is not safe for concurrent use.
type Matcher struct {
	Query eventstore.Query
	tags  []eventstore.Tag
}

// Decode decodes the record at position p, as the function Decode does, if it
// matches the query. If rec is not a record of that position, the error is a
// [*eventstore.CorruptError], even if the record would not match.
func (m *Matcher) Decode(p eventstore.Position, rec []byte) (r Record, matches bool, err error) {
	data, reason := check(p, rec)
	if reason == "" {
		if matches, reason = m.matches(rec, data); matches {
			r, reason = decodeChecked(p, rec, data)
		}
	}
	if reason != "" {
		return Record{}, false, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	return r, matches, nil
}

// matches reports whether a checked record matches, or why it is not a record.
func (m *Matcher) matches(rec []byte, data int) (matches bool, reason string) {
	if m.Query.IsAll() {
		return true, ""
	}
	// The strings are parts of the record itself and are not used after return.
	f := fields{rest: unsafe.String(&rec[offFields], data-offFields)}
	var r Record
	f.upToTags(&r, rec[offFlags], m.tags)
	if !f.broken {
		matches = m.Query.Matches(r.Event.Stream, r.Event.Type, r.Event.Tags)
	}
	m.tags = r.Event.Tags[:0]
	clear(m.tags[:cap(m.tags)])
	if f.broken {
		return false, f.reason()
	}
	return matches, ""
}

// check returns the offset of the payload, or what is wrong with the record.
func check(p eventstore.Position, rec []byte) (data int, reason string) {
	if len(rec) < offFields+crcSize {
		return 0, fmt.Sprintf("record of %d bytes is too short", len(rec))
	}
	end := len(rec) - crcSize
	if want, got := binary.BigEndian.Uint32(rec[end:]), checksum(p, rec[:end]); want != got {
		return 0, fmt.Sprintf("checksum is %08x, the record says %08x", got, want)
	}
	if rec[0] != format {
		return 0, fmt.Sprintf("record format %d is unknown", rec[0])
	}
	if rec[offFlags]&^(flagTime|flagKey) != 0 {
		return 0, fmt.Sprintf("record flags %#x are unknown", rec[offFlags])
	}
	size := binary.BigEndian.Uint32(rec[offDataSize:])
	if int64(size) > int64(end-offFields) {
		return 0, "payload is longer than its record"
	}
	return end - int(size), ""
}

// fields parses a record's fields from the front of rest. The names that it returns
// are parts of that string. After the first malformed field it is broken and returns
// zero values.
type fields struct {
	rest   string
	broken bool
	fault  string // why they are broken; "": they end too early
}

func (f *fields) take(n int) string {
	if f.broken || n > len(f.rest) {
		f.broken = true
		return ""
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) number(limit uint64) uint64 {
	var x uint64
	for shift := 0; shift < 64; shift += 7 {
		b := f.take(1)
		if f.broken {
			return 0
		}
		x |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			if x > limit || b[0] == 0 && shift > 0 { // Append encodes no number in more bytes than it needs
				break
			}
			return x
		}
	}
	f.broken = true
	return 0
}

func (f *fields) name() string {
	size := f.take(1)
	if f.broken {
		return ""
	}
	return f.take(int(size[0]))
}

func (f *fields) text() string { return f.take(f.count()) }

// exceeds reports whether an event cannot have as many elements as the record claims, before
// memory is taken for them. The fields are then broken.
func (f *fields) exceeds(what string, n, limit int) bool {
	if n <= limit {
		return false
	}
	f.fail("%d %s, at most %d", n, what, limit)
	return true
}

// fail notes why the fields are broken, unless they are already.
func (f *fields) fail(format string, args ...any) {
	if !f.broken {
		f.broken, f.fault = true, fmt.Sprintf(format, args...)
	}
}

// reason returns why the fields are broken.
func (f *fields) reason() string {
	if f.fault != "" {
		return f.fault
	}
	return "fields end before they should"
}

// count parses a number of elements that take at least a byte each.
func (f *fields) count() int { return int(f.number(uint64(len(f.rest)))) }

func (f *fields) time() time.Time {
	b := []byte(f.take(12))
	if f.broken {
		return time.Time{}
	}
	nanoseconds := int64(binary.BigEndian.Uint32(b[8:]))
	if nanoseconds >= int64(time.Second) {
		f.fail("its time has %d nanoseconds", nanoseconds)
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), nanoseconds).UTC()
}

// tags parses the tags, into room if that is large enough.
func (f *fields) tags(room []eventstore.Tag) []eventstore.Tag {
	n := f.count()
	if n == 0 || f.exceeds("tags", n, limits.TagsPerEvent) {
		return nil
	}
	if cap(room) < n {
		room = make([]eventstore.Tag, n)
	}
	tags := room[:n]
	for i := range tags {
		tags[i] = eventstore.Tag(f.name())
	}
	return tags
}

// upToTags parses the fields up to the tags, these into room if that is large
// enough.
func (f *fields) upToTags(r *Record, flags byte, room []eventstore.Tag) {
	e := &r.Event
	r.Place = Place{I: int(f.number(math.MaxInt32)), N: int(f.number(math.MaxInt32))}
	e.SchemaVersion = uint32(f.number(math.MaxUint32))
	if flags&flagTime != 0 {
		e.Time = f.time()
	}
	e.Stream = eventstore.StreamID(f.name())
	e.Type = f.name()
	e.Codec = f.name()
	if flags&flagKey != 0 {
		if r.Key = f.name(); r.Key == "" {
			f.fail("key is empty")
		}
	}
	e.Tags = f.tags(room)
}

func (f *fields) metadata() eventstore.Metadata {
	n := f.count()
	if n == 0 || f.exceeds("entries of metadata", n, limits.MetadataBytes) {
		return nil
	}
	metadata := make(eventstore.Metadata, n)
	last := ""
	for i := range n {
		key := f.text()
		if i > 0 && key <= last {
			f.fail("metadata keys are not in order")
		}
		metadata[key] = f.text()
		last = key
	}
	return metadata
}
