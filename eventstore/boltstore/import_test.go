package boltstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// nasty makes commits of random events with names, payloads and times that are hard to write.
func nasty(random *rand.Rand, commits int) []eventstore.Commit {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	payloads := []string{
		"", "null", "true", "0", "-0", "1e400", "123456789012345678901234567890.10", `""`, `"\u2028"`, "\"\u2028\"", `"<&>"`, `"<script>"`,
		`{"a":1,"a":2}`, `{"a": 1}`, " 1", "1\n", "1 2", "{", "\xff\xfe", "\"\xff\"", "\x00", "[[[[]]]]", `{"data":{"position":1}}`,
		`"\ud800"`, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), `"` + strings.Repeat("x", 70_000) + `"`,
		"\xef\xbb\xbf{}", "'", "NaN", "plain text", "\"a\\\\\"", "\"a\\\" b\"", "\"tab\tin\"",
	}
	names := []string{"a", "a-b", "ä-ö", "x y", `q"uote\`, "\u2028", "<&>", "tab\t", "line\nend", "\x01\x7f", "😀-1", "é", "e\u0301", "/%20", strings.Repeat("n", 255)}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	list := make([]eventstore.Commit, commits)
	for c := range list {
		expected := map[string]bool{}
		if random.IntN(3) == 0 {
			list[c].Key = fmt.Sprint(pick(names[:14]...), c)
		}
		for range 1 + random.IntN(4)*random.IntN(4) {
			e := eventstore.NewEvent{Type: pick(names...), SchemaVersion: random.Uint32() >> random.IntN(32), Codec: pick("", "json", "proto\"buf")}
			if random.IntN(5) > 0 {
				stream := pick(names...)
				e.Stream = eventstore.StreamID(stream)
				if !expected[stream] {
					expected[stream] = true
					list[c].Expect = append(list[c].Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.Any})
				}
			}
			e.Data = []byte(pick(payloads...))
			for range random.IntN(4) {
				e.Tags = append(e.Tags, eventstore.Tag(pick(names...)))
			}
			for range random.IntN(3) {
				if e.Metadata == nil {
					e.Metadata = eventstore.Metadata{}
				}
				e.Metadata[pick(names...)] = pick("", "v", "\x00", "\u2029 \n", `"`)
			}
			switch random.IntN(4) {
			case 0:
				e.Time = at.Add(time.Duration(random.Int64()))
			case 1:
				e.Time = time.Date(1+random.IntN(9999), 1, 1, 0, 0, 0, random.IntN(1e9), time.UTC).Add(1)
			case 2:
				e.Time = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
			}
			list[c].Events = append(list[c].Events, e)
		}
	}
	return list
}

func nastyLog(t testing.TB, path string, seed uint64, commits int) {
	t.Logf("seed %d", seed)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	random := rand.New(rand.NewPCG(seed, 0))
	s, err := boltstore.Open(path, &boltstore.Options{Clock: func() time.Time {
		now = now.Add(time.Duration(random.IntN(3) * random.IntN(1e9)))
		return now
	}})
	require.NoError(t, err)
	for _, c := range nasty(random, commits) {
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
}

func export(t testing.TB, path string, after eventstore.Position) ([]byte, boltstore.ExportReport) {
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	var lines bytes.Buffer
	exported, err := s.Export(t.Context(), &lines, &boltstore.ExportOptions{After: after})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.EqualValues(t, lines.Len(), exported.Bytes)
	require.Equal(t, exported.Events, bytes.Count(lines.Bytes(), []byte("\n")))
	return lines.Bytes(), exported
}

// requireImported compares two closed logs: their events, and the receipts of keys.
func requireImported(t testing.TB, want, got string, keys ...string) {
	type content struct {
		events   []eventstore.Event
		receipts []eventstore.Receipt
	}
	read := func(path string) (c content) {
		s, err := boltstore.Open(path, nil)
		require.NoError(t, err)
		c.events = logged(t, s)
		for _, key := range keys {
			receipt, found, err := s.Lookup(t.Context(), key)
			require.NoError(t, err)
			require.True(t, found)
			c.receipts = append(c.receipts, receipt)
		}
		v, err := s.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, v.Findings)
		require.NoError(t, s.Close())
		return c
	}
	require.Equal(t, read(want), read(got))
}

// keysOf returns the keys of the commits in an export.
func keysOf(t testing.TB, lines []byte) (keys []string) {
	for line := range bytes.Lines(lines) {
		var event struct{ Commit struct{ Key string } }
		require.NoError(t, json.Unmarshal(line, &event))
		if event.Commit.Key != "" {
			keys = append(keys, event.Commit.Key)
		}
	}
	require.NotEmpty(t, keys)
	return keys
}

func logged(t testing.TB, s eventstore.Store) (list []eventstore.Event) {
	for e, err := range s.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func TestImport_IsTheInverseOfExport(t *testing.T) {
	seed := rand.Uint64()
	path, copied := logPath(t), logPath(t)
	nastyLog(t, path, seed, 150)
	lines, exported := export(t, path, 0)
	imported, err := boltstore.Import(t.Context(), copied, bytes.NewReader(lines), nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.ImportReport{Head: exported.Through, Appended: exported.Events}, imported)

	requireImported(t, path, copied, keysOf(t, lines)...)
	again, _ := export(t, copied, 0)
	require.Equal(t, string(lines), string(again))

	imported, err = boltstore.Import(t.Context(), copied, bytes.NewReader(lines), nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.ImportReport{Head: exported.Through, Present: exported.Events}, imported, "a second time")
}

func TestImport_TheGoldenLog(t *testing.T) {
	path := unpack(t, goldenFile)
	lines, _ := export(t, path, 0)
	copied := logPath(t)
	_, err := boltstore.Import(t.Context(), copied, bytes.NewReader(lines), nil)
	require.NoError(t, err)
	requireImported(t, path, copied, "command-1")
}

func TestImport_ExportsMadeOneAfterAnother(t *testing.T) {
	path, copied := logPath(t), logPath(t)
	var after eventstore.Position
	for i := range 4 {
		s, err := boltstore.Open(path, nil)
		require.NoError(t, err)
		appendEvents(t, s, "s-1", 3)
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("t-", i)), 2)
		require.NoError(t, s.Close())
		lines, exported := export(t, path, after)
		require.Equal(t, boltstore.ExportReport{Through: after + 5, Events: 5, Bytes: int64(len(lines))}, exported)
		after = exported.Through
		imported, err := boltstore.Import(t.Context(), copied, bytes.NewReader(lines), nil)
		require.NoError(t, err)
		require.Equal(t, boltstore.ImportReport{Head: after, Appended: 5}, imported)
	}
	lines, exported := export(t, path, after)
	require.Empty(t, lines)
	require.Equal(t, boltstore.ExportReport{Through: after}, exported)
	requireImported(t, path, copied)

	s := open(t, path, nil)
	for _, wrong := range []eventstore.Position{1, 4, 21} {
		_, err := s.Export(t.Context(), io.Discard, &boltstore.ExportOptions{After: wrong})
		require.ErrorIs(t, err, eventstore.ErrInvalid, "after %d", wrong)
	}
}

// failingReader returns err after its lines.
type failingReader struct {
	lines [][]byte
	err   error
}

func (r *failingReader) Read(p []byte) (int, error) {
	if len(r.lines) == 0 {
		return 0, r.err
	}
	n := copy(p, r.lines[0])
	if r.lines[0] = r.lines[0][n:]; len(r.lines[0]) == 0 {
		r.lines = r.lines[1:]
	}
	return n, nil
}

func TestImport_ResumesAfterAFailureAtAnyLine(t *testing.T) {
	path, copied := logPath(t), logPath(t)
	nastyLog(t, path, rand.Uint64(), 40)
	content, exported := export(t, path, 0)
	lines := bytes.SplitAfter(content, []byte("\n"))
	lines = lines[:len(lines)-1]
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	events := logged(t, s)
	require.NoError(t, s.Close())
	boom := errors.New("boom")
	for k := range lines {
		imported, err := boltstore.Import(t.Context(), copied, &failingReader{append([][]byte{}, lines[:k]...), boom}, nil)
		require.ErrorIs(t, err, boom)
		require.ErrorContains(t, err, fmt.Sprintf("line %d", k+1))
		require.LessOrEqual(t, int(imported.Head), k)
		if k > 0 && int(imported.Head) < k { // only the last commit is not there
			require.Equal(t, events[imported.Head].Recorded, events[k-1].Recorded)
		}
	}
	imported, err := boltstore.Import(t.Context(), copied, bytes.NewReader(content), nil)
	require.NoError(t, err)
	require.Equal(t, exported.Through, imported.Head)
	requireImported(t, path, copied)
}

// importable returns the lines of a log of two commits: one of two events, with a key, and
// one of one event.
func importable(t testing.TB) []string {
	path := logPath(t)
	s, err := boltstore.Open(path, goldenOptions())
	require.NoError(t, err)
	_, err = s.Append(t.Context(), eventstore.Commit{
		Key: "k", Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.NoStream}},
		Events: []eventstore.NewEvent{{Stream: "s-1", Type: "t", Data: []byte(`{"a":1}`)}, {Type: "t", Tags: []eventstore.Tag{"x"}}},
	})
	require.NoError(t, err)
	_, err = s.Append(t.Context(), eventstore.Commit{
		Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.At(1)}},
		Events: []eventstore.NewEvent{{Stream: "s-1", Type: "u", Metadata: eventstore.Metadata{"m": "v"}}},
	})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	content, _ := export(t, path, 0)
	lines := strings.SplitAfter(string(content), "\n")
	return lines[:len(lines)-1]
}

// misfit changes the lines of importable so that an import refuses one of them.
type misfit struct {
	change func(lines []string)
	line   int // the one that is refused; 0 means the end
	says   string
	head   eventstore.Position // what stays
}

// inLine replaces the first occurrence of a text in a line.
func inLine(line int, old, with string) func(lines []string) {
	return func(lines []string) { lines[line-1] = strings.Replace(lines[line-1], old, with, 1) }
}

// misfitLines are lines that are not as docs/reference/export-format.md says.
var misfitLines = map[string]misfit{
	"no version":           {inLine(3, `"version":2,`, ``), 3, "version 0 of stream", 2},
	"a version of nothing": {inLine(2, `"commit"`, `"version":1,"commit"`), 2, `version 1 of stream ""`, 0},
	"a time too fine":      {inLine(3, `000000006Z`, `0000000061Z`), 3, "nine decimals", 2},
	"an unknown field":     {inLine(3, `"type"`, `"color":1,"type"`), 3, `field "color" is unknown`, 2},
	"a field twice":        {inLine(3, `"type"`, `"position":3,"type"`), 3, `"position" occurs twice`, 2},
	"another case":         {inLine(3, `"type"`, `"Type"`), 3, `field "Type" is unknown`, 2},
	"a missing field":      {inLine(3, `"type":"u",`, ``), 3, `field "type" is missing`, 2},
	"a key too late":       {inLine(2, `"n":2`, `"n":2,"key":"k"`), 2, "has the commit's key", 0},
	"a place beyond":       {inLine(3, `"i":0,"n":1`, `"i":1,"n":1`), 3, "event 1 of a commit of 1", 2},
	"an empty line":        {func(l []string) { l[2] = "\n" + l[2] }, 3, "not JSON", 2},
	"a damaged line":       {inLine(3, `{"position"`, `{"position`), 3, "not JSON", 2},
	"half a line":          {func(l []string) { l[2] = l[2][:len(l[2])/2] }, 3, "", 2},
	"something behind":     {func(l []string) { l[2] = strings.TrimSpace(l[2]) + "x\n" }, 3, "something follows", 2},
	"not UTF-8":            {inLine(3, `"v"`, "\"\xff\""), 3, "UTF-8", 2},
	"half a character":     {inLine(3, `"v"`, `"\ud800"`), 3, "escape", 2},
	"a zero id":            {inLine(3, `"id":"00000000-0000-0000-0000-000000000003"`, `"id":"00000000-0000-0000-0000-000000000000"`), 3, "is zero", 2},
	"a short id":           {inLine(3, `"id":"00000000-0000-0000-0000-000000000003"`, `"id":"3"`), 3, "not a UUID", 2},
	"two payloads":         {inLine(1, `"data":`, `"data_base64":"","data":`), 1, "both fields", 0},
	"bad base64":           {inLine(1, `"data":{"a":1}`, `"data_base64":"?"`), 1, "not base64", 0},
	"no JSON as data":      {inLine(1, `"data":{"a":1}`, `"data":{"a":01}`), 1, "not JSON", 0},
	"a tag twice":          {inLine(2, `["x"]`, `["x","x"]`), 2, `"x" occurs twice`, 0},
	"a line too long":      {func(l []string) { l[2] = strings.Repeat(" ", 40<<20) + l[2] }, 3, "longer than", 2},
	"position 0":           {func(l []string) { l[0] = strings.Replace(l[0], `"position":1`, `"position":0`, 1) }, 1, "position 0", 0},
	"a negative position":  {inLine(1, `"position":1`, `"position":-1`), 1, "not an integer", 0},
	"a fraction":           {inLine(1, `"position":1`, `"position":1.0`), 1, "not JSON", 0},
}

// misfitLogs are lines that do not continue the log.
var misfitLogs = map[string]misfit{
	"a gap":                {func(l []string) { l[2] = strings.Replace(l[2], `"position":3`, `"position":4`, 1) }, 3, "follows position 2", 2},
	"a start beyond":       {func(l []string) { l[0], l[1] = l[2], "" }, 1, "are missing", 0},
	"a repeated line":      {func(l []string) { l[1] = l[0] }, 2, "follows position 1", 0},
	"a wrong version":      {inLine(3, `"version":2`, `"version":3`), 3, "version 2 comes next", 2},
	"a version too low":    {inLine(3, `"version":2`, `"version":1`), 3, "version 2 comes next", 2},
	"an earlier time":      {inLine(3, `"recorded":"2026-01-02T03:04:07`, `"recorded":"2026-01-02T03:04:05`), 3, "recorded at", 2},
	"two times":            {inLine(2, `"recorded":"2026-01-02T03:04:06`, `"recorded":"2026-01-02T03:04:07`), 2, "others of its commit", 0},
	"an empty type":        {inLine(3, `"type":"u"`, `"type":""`), 3, "type is empty", 2},
	"a stream with a dash": {inLine(1, `"stream":"s-1"`, `"stream":"-1"`), 1, "starts with a dash", 0},
	"a key twice":          {inLine(3, `"n":1`, `"n":1,"key":"k"`), 3, "an earlier commit has its key", 2},
	"half a commit":        {inLine(3, `"n":1`, `"n":2`), 0, "end after event 1 of 2", 2},
	"a commit's middle":    {inLine(3, `"i":0,"n":1`, `"i":1,"n":2`), 3, "event 0 of 2 comes next", 2},
	"an empty tag":         {inLine(2, `["x"]`, `[""]`), 2, "tag is empty", 0},
	"a type too long":      {inLine(3, `"type":"u"`, `"type":"`+strings.Repeat("u", 256)+`"`), 3, "the type has more than 255 bytes", 2},
}

func TestImport_RefusesLinesThatDoNotParse(t *testing.T) { requireMisfits(t, misfitLines) }

func TestImport_RefusesWhatDoesNotFit(t *testing.T) { requireMisfits(t, misfitLogs) }

func requireMisfits(t *testing.T, tests map[string]misfit) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			lines := importable(t)
			before := strings.Join(lines, "")
			tt.change(lines)
			require.NotEqual(t, before, strings.Join(lines, ""), "the test changes nothing")
			path := logPath(t)
			imported, err := boltstore.Import(t.Context(), path, strings.NewReader(strings.Join(lines, "")), nil)
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.ErrorContains(t, err, tt.says)
			if tt.line > 0 {
				require.ErrorContains(t, err, fmt.Sprintf("line %d:", tt.line))
			}
			require.Equal(t, tt.head, imported.Head)

			imported, err = boltstore.Import(t.Context(), path, strings.NewReader(strings.Join(importable(t), "")), nil)
			require.NoError(t, err, "what stayed does not fit the right lines")
			require.EqualValues(t, 3, imported.Head)
			require.EqualValues(t, tt.head, imported.Present)
			verify(t, open(t, path, nil))
		})
	}
}

func TestImport_RefusesAnotherLog(t *testing.T) {
	path := logPath(t)
	_, err := boltstore.Import(t.Context(), path, strings.NewReader(strings.Join(importable(t), "")), nil)
	require.NoError(t, err)
	for field, change := range map[string][2]string{
		"id": {`0003"`, `0004"`}, "type": {`"u"`, `"w"`}, "metadata": {`{"m":"v"}`, `{"m":"w"}`},
		"recorded": {`07.000000006Z`, `07.000000007Z`}, "stream": {`"s-1"`, `"s-2"`}, "version": {`"version":2`, `"version":3`},
		"commit": {`"n":1`, `"n":1,"key":"x"`}, "codec": {`"recorded"`, `"codec":"x","recorded"`}, "data": {`"metadata"`, `"data":0,"metadata"`},
		"tags": {`"metadata"`, `"tags":["y"],"metadata"`}, "time": {`"metadata"`, `"time":"2020-01-01T00:00:00Z","metadata"`},
		"schema_version": {`"metadata"`, `"schema_version":7,"metadata"`},
	} {
		lines := importable(t)
		changed := strings.Replace(lines[2], change[0], change[1], 1)
		require.NotEqual(t, lines[2], changed)
		lines[2] = changed
		_, err := boltstore.Import(t.Context(), path, strings.NewReader(strings.Join(lines, "")), nil)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "position 3: "+field+" differs")
	}
}

func TestImport_NotWhileTheLogIsOpen(t *testing.T) {
	path := logPath(t)
	open(t, path, nil)
	_, err := boltstore.Import(t.Context(), path, strings.NewReader(""), &boltstore.ImportOptions{LockTimeout: 1})
	require.ErrorIs(t, err, eventstore.ErrLocked)
}

// A line with its fields in another order, with spaces, and with a carriage return, is the
// same event.
func TestImport_TakesFieldsInAnyOrder(t *testing.T) {
	line := ` { "type" : "t", "recorded":"2026-01-02T05:04:05.5+02:00" , "data" : {"a" : [1, "}" ] } ,` +
		`"id":"01956F1E-7C00-7ABC-8DEF-0123456789AB", "tags":[ ], "metadata" : { } ,"commit":{"n":1,"i":0},"position":1}` + "\r\n"
	path := logPath(t)
	_, err := boltstore.Import(t.Context(), path, strings.NewReader(line), nil)
	require.NoError(t, err)
	recorded := time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)
	require.Equal(t, []eventstore.Event{{
		Position: 1, Type: "t", ID: uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab"),
		Data: []byte(`{"a" : [1, "}" ] }`), Recorded: recorded, Time: recorded,
	}}, logged(t, open(t, path, nil)))
}

// FuzzImport: Import does not panic on any lines, and the events that it appends can be
// exported and imported without a change.
func FuzzImport(f *testing.F) {
	f.Add([]byte(strings.Join(importable(f), "")))
	path := logPath(f)
	nastyLog(f, path, 1, 3)
	lines, _ := export(f, path, 0)
	f.Add(lines)
	f.Fuzz(func(t *testing.T, lines []byte) {
		path, copied := logPath(t), logPath(t)
		imported, err := boltstore.Import(t.Context(), path, bytes.NewReader(lines), nil)
		if err != nil {
			require.ErrorIs(t, err, eventstore.ErrInvalid)
		}
		require.EqualValues(t, imported.Head, imported.Appended)
		if imported.Head == 0 {
			return
		}
		again, exported := export(t, path, 0)
		require.Equal(t, imported.Head, exported.Through)
		_, err = boltstore.Import(t.Context(), copied, bytes.NewReader(again), nil)
		require.NoError(t, err)
		requireImported(t, path, copied)
	})
}
