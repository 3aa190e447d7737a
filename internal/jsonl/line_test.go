package jsonl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/jsonl"
	"github.com/yore-es/yore/internal/record"
)

var recorded = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// lines are a commit of two events with a key, and one of one event.
var lines = []string{
	`{"position":1,"stream":"s-1","version":1,"commit":{"i":0,"n":2,"key":"k"},"id":"00000000-0000-0000-0000-000000000001","type":"t","recorded":"2026-01-02T03:04:06.000000006Z","data":{"a":1}}`,
	`{"position":2,"commit":{"i":1,"n":2},"id":"00000000-0000-0000-0000-000000000002","type":"t","recorded":"2026-01-02T03:04:06.000000006Z","tags":["x"]}`,
	`{"position":3,"stream":"s-1","version":2,"commit":{"i":0,"n":1},"id":"00000000-0000-0000-0000-000000000003","type":"u","recorded":"2026-01-02T03:04:07.000000006Z","metadata":{"m":"v"}}`,
}

// plain returns a record of an event with the required fields only.
func plain() record.Record {
	return record.Record{
		Event: eventstore.Event{Position: 1, ID: uuid.UUID{15: 1}, Type: "t", Data: []byte{}, Recorded: recorded, Time: recorded},
		Place: record.Place{I: 0, N: 1},
	}
}

// requireLine requires that the record comes back from its line, and returns the line.
func requireLine(t *testing.T, r record.Record) string {
	t.Helper()
	line, err := jsonl.AppendLine(nil, &r)
	require.NoError(t, err)
	require.True(t, json.Valid(line))
	require.Equal(t, len(line)-1, bytes.IndexByte(line, '\n'))
	got, err := jsonl.ParseLine(line[:len(line)-1], eventstore.StandardLimits())
	require.NoError(t, err, "%s", line)
	require.Equal(t, r, got)
	return string(line)
}

// FuzzLine: a line that is taken comes back as the same event from the line that is made
// of it, and that line does not change any more.
func FuzzLine(f *testing.F) {
	for _, line := range lines {
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"data_base64":"AP8=","tags":["a","\u2028"],"metadata":{"\ud83d\ude00":"\u0000"},"time":"0001-01-01T00:00:00.000000001Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		first, err := jsonl.ParseLine(line, eventstore.StandardLimits())
		if err != nil {
			return
		}
		require.True(t, json.Valid(line), "what is taken is JSON")
		again, err := jsonl.AppendLine(nil, &first)
		require.NoError(t, err)
		require.True(t, json.Valid(again))
		second, err := jsonl.ParseLine(bytes.TrimSuffix(again, []byte("\n")), eventstore.StandardLimits())
		require.NoError(t, err, "%s", again)
		require.Equal(t, len(first.Event.Tags), len(second.Event.Tags))
		if len(first.Event.Tags) == 0 {
			first.Event.Tags = nil
		}
		if len(first.Event.Metadata) == 0 {
			first.Event.Metadata = nil
		}
		require.Equal(t, first, second)
		third, err := jsonl.AppendLine(nil, &second)
		require.NoError(t, err)
		require.Equal(t, string(again), string(third))
	})
}

func TestAppendLine_WritesTheFieldsInTheirOrder(t *testing.T) {
	r := plain()
	e := &r.Event
	e.Position, e.Stream, e.Version, e.Type, e.SchemaVersion, e.Codec = 3, "cart-7", 2, "cart.item-added", 1, "json"
	e.ID = uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab")
	e.Time = time.Date(2011, 12, 9, 12, 50, 0, 7, time.UTC)
	e.Tags = []eventstore.Tag{"sku:A1", "b"}
	e.Metadata = eventstore.Metadata{"z": "1", "actor": "ann"}
	e.Data = []byte(`{"sku":"A1"}`)
	r.Key, r.Place.N = "command-1", 2
	require.Equal(t, `{"position":3,"stream":"cart-7","version":2,"commit":{"i":0,"n":2,"key":"command-1"},`+
		`"id":"01956f1e-7c00-7abc-8def-0123456789ab","type":"cart.item-added","schema_version":1,"codec":"json",`+
		`"recorded":"2026-01-02T03:04:05.000000006Z","time":"2011-12-09T12:50:00.000000007Z",`+
		`"tags":["sku:A1","b"],"metadata":{"actor":"ann","z":"1"},"data":{"sku":"A1"}}`+"\n", requireLine(t, r))
}

// TestAppendLine_RefusesWhatNoLineCanHold has records that no store takes.
func TestAppendLine_RefusesWhatNoLineCanHold(t *testing.T) {
	for says, change := range map[string]func(e *eventstore.Event){
		"is not UTF-8":     func(e *eventstore.Event) { e.Type = "\xff" },
		"time in year 0":   func(e *eventstore.Event) { e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
		"in year 10000":    func(e *eventstore.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		`"\xfe" is not UT`: func(e *eventstore.Event) { e.Metadata = eventstore.Metadata{"m": "\xfe"} },
	} {
		r := plain()
		change(&r.Event)
		line, err := jsonl.AppendLine([]byte("before"), &r)
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.EqualValues(t, 1, corrupt.Position)
		require.ErrorContains(t, err, says)
		require.Equal(t, "before", string(line))
	}
}

// TestLine_Payloads compares the field and the text of payloads.
func TestLine_Payloads(t *testing.T) {
	long := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	for _, data := range []string{
		"null", "true", "0", "-0", "1e400", "123456789012345678901234567890.10", `""`, `"\u2028"`, "\"\u2028\"", `"<&>"`,
		`{"a":1,"a":2}`, "[[[[]]]]", `{"data":{"position":1}}`, `"\ud800"`, "\"a\\\\\"", "\"a\\\" b\"", `"two words"`, long,
	} {
		r := plain()
		r.Event.Data = []byte(data)
		require.True(t, strings.HasSuffix(requireLine(t, r), `,"data":`+data+"}\n"), data)
	}
	for _, data := range []string{
		`{"a": 1}`, " 1", "1\n", "1 2", "{", "\xff\xfe", "\"\xff\"", "\x00", "\xef\xbb\xbf{}", "'", "NaN", "plain text", "\"tab\tin\"",
	} {
		r := plain()
		r.Event.Data = []byte(data)
		require.Contains(t, requireLine(t, r), `,"data_base64":"`, data)
	}
	require.NotContains(t, requireLine(t, plain()), "data", "an empty payload has no field")
}

// TestLine_RoundTrips has random records of names and texts that are hard to write.
func TestLine_RoundTrips(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	names := []string{
		"a", "a-b", "ä-ö", "x y", `q"uote\`, "\u2028", "\u2029 \n", "<&>", "tab\t", "line\nend", "\x01\x7f", "😀-1", "é",
		"e\u0301", "/%20", strings.Repeat("n", 255),
	}
	pick := func() string { return names[random.IntN(len(names))] }
	for i := range 2000 {
		r := plain()
		e := &r.Event
		e.Position, e.Type, e.SchemaVersion = eventstore.Position(i+1), pick(), random.Uint32()>>random.IntN(32)
		if random.IntN(2) == 0 {
			e.Stream, e.Version = eventstore.StreamID(pick()), eventstore.Version(1+random.IntN(100))
		}
		if random.IntN(2) == 0 {
			e.Codec, r.Key = pick(), pick()
		}
		if random.IntN(2) == 0 {
			e.Time = time.Date(1+random.IntN(9999), 12, 31, 23, 59, 59, random.IntN(1e9), time.UTC)
		}
		for _, at := range random.Perm(len(names))[:random.IntN(4)] {
			e.Tags = append(e.Tags, eventstore.Tag(names[at]))
		}
		if random.IntN(2) == 0 {
			e.Metadata = eventstore.Metadata{pick(): pick(), pick(): ""}
		}
		r.Place.N += random.IntN(3)
		requireLine(t, r)
	}
}

// TestMaxLine: the longest line that an event within the limits can have is within the
// limit of lines, and a reader with that limit takes it.
func TestMaxLine(t *testing.T) {
	limits := eventstore.StandardLimits()
	r := plain()
	e := &r.Event
	e.Stream, e.Version = eventstore.StreamID(strings.Repeat("\x01", limits.NameBytes)), 1<<63-1
	e.Type, e.Codec, r.Key = strings.Repeat("\x01", limits.NameBytes), strings.Repeat("\x01", limits.NameBytes), strings.Repeat("\x02", limits.NameBytes)
	e.Position, e.SchemaVersion, e.Metadata = 1<<63-1, 1<<32-1, eventstore.Metadata{}
	e.Time = e.Recorded.Add(1)
	e.Data = bytes.Repeat([]byte{0xff}, limits.PayloadBytes)
	for i := range limits.TagsPerEvent {
		e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprintf("%0*d", 3, i)+strings.Repeat("\x01", limits.NameBytes-3)))
	}
	for i := range limits.MetadataBytes / 4 { // short entries take the most space for their bytes
		e.Metadata[string([]byte{byte(i>>12)&7 + 1, byte(i>>9)&7 + 1, byte(i>>4)&31 + 1, byte(i)&15 + 1})] = ""
	}
	line := requireLine(t, r)
	require.Greater(t, len(line), 22_500_000)
	require.LessOrEqual(t, len(line), jsonl.MaxLine(limits))
	got, err := jsonl.NewReader(strings.NewReader(line), jsonl.MaxLine(limits)).Next()
	require.NoError(t, err)
	require.Equal(t, len(line)-1, len(got))
}

// TestParseLine_RefusesWhatIsNotDescribed changes the third of the lines.
func TestParseLine_RefusesWhatIsNotDescribed(t *testing.T) {
	_, err := jsonl.ParseLine([]byte(lines[2]), eventstore.StandardLimits())
	require.NoError(t, err)
	for _, tt := range []struct{ old, with, says string }{
		{`"position":3`, `"position":0`, "position 0"},
		{`"position":3`, `"position":03`, "not an integer"},
		{`"position":3`, `"position":9223372036854775808`, "not an integer"},
		{`"version":2,`, ``, `version 0 of stream "s-1"`},
		{`"stream":"s-1",`, ``, `version 2 of stream ""`},
		{`"i":0,`, ``, `"commit.i" is missing`},
		{`"i":0,`, `"i":0,"i":0,`, `"i" occurs twice`},
		{`"i":0,`, `"i":0,"key":"",`, "key is empty"},
		{`"i":0,`, `"i":0,"x":0,`, `"x" is unknown`},
		{`"i":0`, `"i":1`, "event 1 of a commit of 1"},
		{`"i":0,"n":1`, `"i":1,"n":2,"key":"k"`, "has the commit's key"},
		{`"recorded":"2026`, `"recorded":"2262`, "outside the years 1678 to 2261"},
		{`:07.000000006Z`, `:07,000000006Z`, "RFC 3339"},
		{`"type":"u"`, `"type":"u","time":"0001-01-01T00:00:00Z"`, "zero time"},
		{`"type":"u"`, `"type":"u","type":"u"`, `field "type" occurs twice`},
		{`"type":"u"`, `"type":"u","time":7`, "not a string"},
		{`"type":"u"`, `"type":"u","schema_version":4294967296`, "not an integer"},
		{`"type":"u"`, `"type":"u","data":1,"data_base64":""`, "both fields"},
		{`"type":"u"`, `"type":"u","data_base64":"Q"`, "not base64"},
		{`"type":"u"`, `"type":"u","tags":["x",]`, "not a string"},
		{`"type":"u"`, `"type":"u","tags":["x" "y"]`, "no comma"},
		{`"type":"u"`, `"type":"u","tags":{}`, "not JSON"},
		{`"m":"v"`, `"m":"v","m":"v"`, `"m" occurs twice`},
		{`"v"`, `"\u00zz"`, "escape"},
		{`"v"`, "\"\x01\"", "control character"},
		{`"v"}}`, `"v`, "does not end"},
	} {
		line := strings.Replace(lines[2], tt.old, tt.with, 1)
		require.NotEqual(t, lines[2], line)
		_, err := jsonl.ParseLine([]byte(line), eventstore.StandardLimits())
		require.ErrorContains(t, err, tt.says, line)
	}
}

func TestReader_Next(t *testing.T) {
	long := strings.Repeat("x", 600_000) // more than the reader's buffer
	text := "a\n\n" + long + "\nb\n" + long
	for name, r := range map[string]io.Reader{
		"whole":       strings.NewReader(text),
		"byte-wise":   iotest.OneByteReader(strings.NewReader(text)),
		"EOF at once": iotest.DataErrReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			l := jsonl.NewReader(r, 600_001)
			for i, want := range []string{"a", "", long, "b", long} {
				line, err := l.Next()
				require.NoError(t, err)
				require.True(t, want == string(line), "line %d", i+1)
				require.Equal(t, i+1, l.Number)
			}
			_, err := l.Next()
			require.Equal(t, io.EOF, err)
		})
	}
	l := jsonl.NewReader(strings.NewReader("a\n"+long), 599_999)
	_, err := l.Next()
	require.NoError(t, err)
	_, err = l.Next()
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "longer than 599999 bytes")

	broken := errors.New("broken pipe")
	l = jsonl.NewReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 10)
	_, err = l.Next()
	require.NoError(t, err)
	_, err = l.Next()
	require.ErrorIs(t, err, broken, "half a line is no line")
}

func TestDiffers_NamesTheField(t *testing.T) {
	for field, change := range map[string]func(r *record.Record){
		"":               func(*record.Record) {},
		"id":             func(r *record.Record) { r.Event.ID[0]++ },
		"stream":         func(r *record.Record) { r.Event.Stream = "s" },
		"version":        func(r *record.Record) { r.Event.Version++ },
		"type":           func(r *record.Record) { r.Event.Type = "u" },
		"commit":         func(r *record.Record) { r.Place.N++ },
		"schema_version": func(r *record.Record) { r.Event.SchemaVersion++ },
		"codec":          func(r *record.Record) { r.Event.Codec = "json" },
		"recorded":       func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(1) },
		"time":           func(r *record.Record) { r.Event.Time = r.Event.Time.Add(1) },
		"tags":           func(r *record.Record) { r.Event.Tags = []eventstore.Tag{"x"} },
		"metadata":       func(r *record.Record) { r.Event.Metadata = eventstore.Metadata{"m": ""} },
		"data":           func(r *record.Record) { r.Event.Data = []byte{0} },
	} {
		a, b := plain(), plain()
		change(&b)
		require.Equal(t, field, jsonl.Differs(&a, &b))
	}
	a, b := plain(), plain()
	b.Key = "k"
	require.Equal(t, "commit", jsonl.Differs(&a, &b))
}
