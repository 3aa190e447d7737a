package record_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// full is a whole record in which every field is used, at position 9.
func full() record.Record {
	return record.Record{
		Event: eventstore.Event{
			Position: 9, Stream: "s-1", Version: 4, ID: uuid.UUID{1}, Type: "t", SchemaVersion: 1, Codec: "json", Data: []byte("{}"),
			Metadata: eventstore.Metadata{"a": "1", "b": "\x00"}, Tags: []eventstore.Tag{"x", "y"},
			Recorded: recorded, Time: recorded.Add(-time.Hour),
		},
		Place: record.Place{I: 0, N: 2}, Mark: record.Mark{Key: "k"},
	}
}

// names returns n tags.
func names(n int) (tags []eventstore.Tag) {
	for i := range n {
		tags = append(tags, eventstore.Tag(fmt.Sprint(i)))
	}
	return tags
}

// long is a name that is too long.
var long = strings.Repeat("n", 256)

// changes are changes of the full record, and what Check says of it then.
var changes = map[string]struct {
	change func(r *record.Record)
	says   string
}{
	"as it is":             {func(*record.Record) {}, ""},
	"in no stream":         {func(r *record.Record) { r.Event.Stream, r.Event.Version = "", 0 }, ""},
	"most tags":            {func(r *record.Record) { r.Event.Tags = names(128) }, ""},
	"first year":           {func(r *record.Record) { r.Event.Recorded = time.Date(1677, 12, 31, 10, 0, 0, 0, time.UTC) }, ""},
	"last year":            {func(r *record.Record) { r.Event.Recorded = time.Date(2262, 1, 1, 15, 0, 0, 0, time.UTC) }, ""},
	"empty type":           {func(r *record.Record) { r.Event.Type = "" }, "type is empty"},
	"long type":            {func(r *record.Record) { r.Event.Type = long }, "256 bytes of type, at most 255"},
	"NUL in a stream":      {func(r *record.Record) { r.Event.Stream = "a\x00" }, "contains NUL"},
	"a dash first":         {func(r *record.Record) { r.Event.Stream = "-a" }, "starts with a dash"},
	"a type of no UTF-8":   {func(r *record.Record) { r.Event.Type = "\xff" }, "is not UTF-8"},
	"NUL in a codec":       {func(r *record.Record) { r.Event.Codec = "\x00" }, "contains NUL"},
	"NUL in a key":         {func(r *record.Record) { r.Key = "\x00" }, "key"},
	"long key":             {func(r *record.Record) { r.Key = long }, "256 bytes of key"},
	"empty tag":            {func(r *record.Record) { r.Event.Tags[1] = "" }, "tag is empty"},
	"a tag twice":          {func(r *record.Record) { r.Event.Tags[1] = "x" }, `tag "x" occurs twice`},
	"one of many twice":    {func(r *record.Record) { r.Event.Tags = append(names(100), "7") }, `tag "7" occurs twice`},
	"too many tags":        {func(r *record.Record) { r.Event.Tags = names(129) }, "129 tags, at most 128"},
	"empty metadata key":   {func(r *record.Record) { r.Event.Metadata[""] = "" }, "metadata key is empty"},
	"metadata of no UTF-8": {func(r *record.Record) { r.Event.Metadata["a"] = "\xff" }, "is not UTF-8"},
	"much metadata":        {func(r *record.Record) { r.Event.Metadata["a"] = strings.Repeat("v", 64<<10) }, "bytes of metadata, at most 65536"},
	"much payload":         {func(r *record.Record) { r.Event.Data = make([]byte, 16<<20+1) }, "bytes of payload, at most 16777216"},
	"year 10000":           {func(r *record.Record) { r.Event.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year 10000"},
	"year 0":               {func(r *record.Record) { r.Event.Time = time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC) }, "year 0"},
	"the zero time":        {func(r *record.Record) { r.Event.Time = time.Time{} }, "zero time"},
	"recorded in 2262":     {func(r *record.Record) { r.Event.Recorded = time.Date(2262, 1, 2, 0, 0, 0, 0, time.UTC) }, "outside the years"},
	"recorded in 1677":     {func(r *record.Record) { r.Event.Recorded = time.Date(1677, 12, 30, 0, 0, 0, 0, time.UTC) }, "outside the years"},
	"no version":           {func(r *record.Record) { r.Event.Version = 0 }, `version 0 of stream "s-1"`},
	"version in no stream": {func(r *record.Record) { r.Event.Stream = "" }, `version 4 of stream ""`},
	"version too high":     {func(r *record.Record) { r.Event.Version = 10 }, "version 10 at position 9"},
	"place too high":       {func(r *record.Record) { r.Place.I = 2 }, "event 2 of a commit of 2"},
	"large commit":         {func(r *record.Record) { r.Place.N = 65_537 }, "a commit of 65537 events, at most 65536"},
	"before the log":       {func(r *record.Record) { r.Place, r.Key = record.Place{I: 9, N: 10}, "" }, "the commit began before the log"},
	"key on a later event": {func(r *record.Record) { r.Place.I = 1 }, "event 1 of a commit has the commit's key"},
	"no id":                {func(r *record.Record) { r.Event.ID = uuid.Nil }, "its id is zero"},
	"no position":          {func(r *record.Record) { r.Event.Position, r.Event.Version, r.Event.Stream = 0, 0, "" }, "position 0"},
}

func TestContract_Check_Event(t *testing.T) {
	for name, tt := range changes {
		t.Run(name, func(t *testing.T) {
			r := full()
			tt.change(&r)
			var c record.Contract
			if broken := c.Check(&r); tt.says == "" {
				require.Empty(t, broken)
			} else {
				require.Contains(t, broken, tt.says)
			}
		})
	}
}

// inCommit returns the i-th event of a commit of five, with a payload, at position 100 + i.
func inCommit(i, size int, at time.Time) *record.Record {
	return &record.Record{
		Event: eventstore.Event{Position: eventstore.Position(100 + i), ID: uuid.UUID{1}, Type: "t", Data: make([]byte, size), Recorded: at, Time: at},
		Place: record.Place{I: i, N: 5},
	}
}

func TestContract_Check_Commit(t *testing.T) {
	const most = 16 << 20
	var c record.Contract
	for i := range 4 {
		require.Empty(t, c.Check(inCommit(i, most, recorded)))
	}
	require.Contains(t, c.Check(inCommit(4, 1, recorded)), "more than 67108864 bytes")
	require.Contains(t, c.Check(inCommit(4, 0, recorded.Add(1))), "others of its commit at")
	require.Empty(t, c.Check(inCommit(4, 0, recorded)), "a refused record changes nothing")

	c = record.Contract{}
	require.Empty(t, c.Check(inCommit(3, most, recorded)), "the part before may be missing")
	another := inCommit(0, most, recorded.Add(1))
	another.Event.Position = 104
	require.Empty(t, c.Check(another), "another commit")
}

func TestContract_Check_TagsOfACommit(t *testing.T) {
	var c record.Contract
	const each, n = 128, 8_193
	for i := range n {
		r := inCommit(i, 0, recorded)
		r.Place.N, r.Event.Tags = n, names(each)
		if broken := c.Check(r); i < n-1 {
			require.Empty(t, broken)
		} else {
			require.Contains(t, broken, "more than 1048576 tags")
		}
	}
}

// TestDecode_TakesOneEncoding has records with right checksums and encodings that Append
// does not make.
func TestDecode_TakesOneEncoding(t *testing.T) {
	e := eventstore.NewEvent{Type: "t", Metadata: eventstore.Metadata{"a": "1", "b": "2"}, Time: time.Unix(7, 5), Data: []byte("data")}
	whole := record.Append(nil, &e, record.Place{I: 0, N: 1}, record.Mark{Key: "k"})
	decode := func(replace, with string) error {
		t.Helper()
		require.Contains(t, string(whole), replace)
		rec := []byte(strings.Replace(string(whole), replace, with, 1))
		if size := binary.BigEndian.Uint32(whole[34:]); strings.Index(string(whole), replace) < 38+int(size) {
			binary.BigEndian.PutUint32(rec[34:], size+uint32(len(with)-len(replace)))
		}
		record.Seal(rec, seed, before, 9, 0, recorded)
		_, err := record.Decode(seed, 9, rec)
		return err
	}
	require.NoError(t, decode("data", "DATA"))
	require.ErrorContains(t, decode("\x01a\x011", "\x01c\x011"), "not in order")
	require.ErrorContains(t, decode("\x01b\x012", "\x01a\x012"), "not in order", "a key twice")
	require.ErrorIs(t, decode("\x02\x01a", "\x82\x00\x01a"), eventstore.ErrCorrupt, "a number of more bytes than it needs")
	require.ErrorContains(t, decode("\x01k", "\x00"), "key is empty")
	nanoseconds := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	require.ErrorContains(t, decode(nanoseconds(7)+nanoseconds(5), nanoseconds(6)+nanoseconds(1e9+5)), "its time has 1000000005 nanoseconds")
}

// TestDecode_ClaimsTakeNoMemory: a record may claim more elements than an event can have.
func TestDecode_ClaimsTakeNoMemory(t *testing.T) {
	e := eventstore.NewEvent{Type: "t", Codec: strings.Repeat("\x01", 200)}
	for _, says := range []string{"200000 tags, at most 128", "200000 entries of metadata, at most 65536"} {
		rec := record.Append(nil, &e, record.Place{I: 0, N: 1}, record.Mark{})
		count := strings.Index(string(rec), "t\xc8") + 2 + 200 // of tags
		rest := append(binary.AppendUvarint(nil, 200_000), make([]byte, 300_000)...)
		tags := strings.Contains(says, "tags")
		if !tags {
			count += 1 + 2*4 // no tags, the running checksum and that of the identity
		}
		rec = append(append(rec[:count:count], rest...), make([]byte, 2*4+1+4)...)
		if tags {
			binary.BigEndian.PutUint32(rec[34:], uint32(len(rec)-4-1-4-38))
		}
		record.Seal(rec, seed, before, 1, 0, recorded)
		_, err := record.Decode(seed, 1, rec)
		require.ErrorContains(t, err, says)
		m := record.Matcher{Seed: seed, Query: eventstore.Stream("s")}
		if _, _, err = m.Decode(1, rec); tags {
			require.ErrorContains(t, err, says)
		}
	}
}

func BenchmarkContract(b *testing.B) {
	r := full()
	event := eventstore.NewEvent{
		Stream: r.Event.Stream, Type: r.Event.Type, Tags: r.Event.Tags, Metadata: r.Event.Metadata, Codec: "json",
		Data: make([]byte, 256), SchemaVersion: 1,
	}
	rec := record.Append(nil, &event, record.Place{I: 0, N: 1}, record.Mark{})
	record.Seal(rec, seed, before, 9, 4, recorded)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := record.Decode(seed, 9, rec); err != nil {
				b.Fatal(err)
			}
		}
	})
	decoded, err := record.Decode(seed, 9, rec)
	require.NoError(b, err)
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		var c record.Contract
		for b.Loop() {
			if broken := c.Check(&decoded); broken != "" {
				b.Fatal(broken)
			}
		}
	})
}
