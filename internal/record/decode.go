package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/yore-es/yore/eventstore"
)

// Record is a decoded record.
type Record struct {
	Event  eventstore.Event
	Place  Place
	Mark         // of the commit, in the commit's first event; otherwise empty
	Before Chain // in the commit's last event: the running checksum up to the record before
	sum    uint32
}

// Last reports whether the event is the last of its commit.
func (r *Record) Last() bool { return r.Place.last() }

// Chain returns the running checksum up to the record, given that up to the one before.
func (r *Record) Chain(before Chain) Chain { return before.with(r.sum) }

// Decode decodes the record at position p. The result shares no memory with rec. If
// rec is not a record of that position, the error is a [*eventstore.CorruptError].
func Decode(seed Seed, p eventstore.Position, rec []byte) (r Record, err error) {
	if reason := r.decode(seed, p, rec); reason != "" {
		return Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	return r, nil
}

// DecodeIdentity decodes the record at position p without payload and metadata, which it
// does not check: they may be damaged. It checks all else. The result shares no memory
// with rec.
func DecodeIdentity(seed Seed, p eventstore.Position, rec []byte) (r Record, err error) {
	if reason := r.decodeIdentity(seed, p, rec); reason != "" {
		return Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	return r, nil
}

// A record may be mapped from a file that another program overwrites just now. So it is
// copied before it is checked, and what was checked is compared with the copy.

const overwritten = "the record was overwritten while it was read"

// head is a copy of the part of a record before its fields.
type head [offFields]byte

func headOf(rec []byte) head { return head(rec) }

// decode sets r to the record, or returns why rec is not a record. Fields and payload share
// one allocation. A reader may change the payload; the names in the fields are strings,
// which cannot be changed.
func (r *Record) decode(seed Seed, p eventstore.Position, rec []byte) (reason string) {
	at, reason := layout(rec)
	if reason != "" {
		return reason
	}
	end := len(rec) - sumSize
	head, own := headOf(rec), bytes.Clone(rec[offFields:end])
	if reason := checkIdentity(seed, p, rec, at); reason != "" {
		return reason
	}
	names, content := own[:at-offFields], own[at-offFields:]
	if reason := checkContent(content, rec[end:]); reason != "" {
		return reason
	}
	if head != headOf(rec) || !bytes.Equal(names, rec[offFields:at]) {
		return overwritten
	}
	if reason := r.decodeFields(p, &head, view(names), content); reason != "" {
		return reason
	}
	rest := content[sumSize:]
	f := fields{rest: view(rest)}
	r.Event.Metadata = f.metadata()
	if f.broken {
		return f.reason()
	}
	r.Event.Data = rest[len(rest)-len(f.rest):]
	return ""
}

// decodeIdentity is decode without payload and metadata.
func (r *Record) decodeIdentity(seed Seed, p eventstore.Position, rec []byte) (reason string) {
	at, reason := layout(rec)
	if reason != "" {
		return reason
	}
	head, names := headOf(rec), string(rec[offFields:at])
	if reason := checkIdentity(seed, p, rec, at); reason != "" {
		return reason
	}
	if head != headOf(rec) || names != view(rec[offFields:at]) {
		return overwritten
	}
	return r.decodeFields(p, &head, names, rec[at:])
}

// view returns the bytes as a string that shares their memory.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// decodeFields decodes the identity of a record from its head and its fields. content begins
// with the checksum of the identity.
func (r *Record) decodeFields(p eventstore.Position, head *head, names string, content []byte) (reason string) {
	e, flags := &r.Event, head[offFlags]
	e.Position = p
	e.Version = eventstore.Version(binary.BigEndian.Uint64(head[offVersion:]))
	e.Recorded = time.Unix(0, int64(binary.BigEndian.Uint64(head[offRecorded:]))).UTC()
	copy(e.ID[:], head[offID:])
	e.Time = e.Recorded
	r.sum = binary.BigEndian.Uint32(content)
	f := fields{rest: names}
	f.upToTags(r, flags, nil)
	if flags&flagLast != 0 {
		r.Before = f.chain()
	}
	switch {
	case f.broken:
		return f.reason()
	case f.rest != "":
		return fmt.Sprintf("%d bytes follow the fields", len(f.rest))
	case r.Place.I >= r.Place.N:
		return fmt.Sprintf("event %d of a commit of %d", r.Place.I, r.Place.N)
	case r.Place.last() != (flags&flagLast != 0):
		return fmt.Sprintf("event %d of a commit of %d, with flags %#x", r.Place.I, r.Place.N, flags)
	}
	return ""
}

// A Matcher decodes the records that match a query. It decodes only as much of a
// record as it takes to decide. It is not safe for concurrent use.
type Matcher struct {
	Seed  Seed
	Query eventstore.Query
	// IdentityOnly leaves out payload and metadata, which are not checked and may be
	// damaged.
	IdentityOnly bool

	tags []eventstore.Tag
}

// Decode decodes the record at position p, as the function Decode does, if it
// matches the query. A damaged record is a [*eventstore.CorruptError]; if its identity is
// whole, only where the record matches.
func (m *Matcher) Decode(p eventstore.Position, rec []byte) (r Record, matches bool, err error) {
	reason := ""
	if !m.Query.IsAll() {
		if matches, reason = m.matches(p, rec); reason == "" && !matches {
			return Record{}, false, nil
		}
	}
	switch {
	case reason != "":
	case m.IdentityOnly:
		reason = r.decodeIdentity(m.Seed, p, rec)
	default:
		reason = r.decode(m.Seed, p, rec)
	}
	if reason != "" {
		return Record{}, true, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	return r, true, nil
}

// matches reports whether a record matches, or why it is not a record.
func (m *Matcher) matches(p eventstore.Position, rec []byte) (matches bool, reason string) {
	at, reason := layout(rec)
	if reason == "" {
		reason = checkIdentity(m.Seed, p, rec, at)
	}
	if reason != "" {
		return false, reason
	}
	// The strings are parts of the record itself and are not used after return.
	f := fields{rest: view(rec[offFields:at])}
	var r Record
	f.upToTags(&r, rec[offFlags], m.tags)
	if !f.broken {
		matches = m.Query.Matches(r.Event.Stream, r.Event.Type, r.Event.Tags)
	}
	if len(r.Event.Tags) > 0 {
		m.tags = r.Event.Tags[:0]
		clear(m.tags[:cap(m.tags)])
	}
	if f.broken {
		return false, f.reason()
	}
	return matches, ""
}

// layout returns the offset of the identity's checksum, or why rec is too short for a
// record.
func layout(rec []byte) (at int, reason string) {
	if len(rec) < offFields+2*sumSize {
		return 0, fmt.Sprintf("record of %d bytes is too short", len(rec))
	}
	size := binary.BigEndian.Uint32(rec[offSize:])
	if int64(size) > int64(len(rec)-offFields-2*sumSize) {
		return 0, "fields are longer than their record"
	}
	return offFields + int(size), ""
}

// checkIdentity returns what is wrong with the identity of a record, with its checksum at
// the given offset, or "".
func checkIdentity(seed Seed, p eventstore.Position, rec []byte, at int) (reason string) {
	if binary.BigEndian.Uint32(rec[at:]) != identitySum(seed, p, rec[:at]) {
		return "the record fails its checksum"
	}
	if rec[0] != format {
		return fmt.Sprintf("record format %d is unknown", rec[0])
	}
	if rec[offFlags]&^flagsKnown != 0 {
		return fmt.Sprintf("record flags %#x are unknown", rec[offFlags])
	}
	return ""
}

// checkContent returns what is wrong with the content of a record, which begins with the
// identity's checksum, or "".
func checkContent(content, sum []byte) (reason string) {
	if binary.BigEndian.Uint32(sum) != contentSum(content) {
		return "the payload or the metadata fail their checksum"
	}
	return ""
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
	for shift := 0; shift < 35; shift += 7 { // no limit is above MaxUint32
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

func (f *fields) chain() Chain {
	b := f.take(sumSize)
	if f.broken {
		return 0
	}
	return Chain(b[0])<<24 | Chain(b[1])<<16 | Chain(b[2])<<8 | Chain(b[3])
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
	if flags&flagDigest != 0 {
		if r.Digest = []byte(f.name()); len(r.Digest) == 0 {
			f.fail("digest is empty")
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
