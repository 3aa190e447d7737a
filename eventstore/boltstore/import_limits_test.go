package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// lineWith returns the line of an event with more fields.
func lineWith(fields string) string {
	return `{"position":1,"commit":{"i":0,"n":1},"id":"00000000-0000-0000-0000-000000000001","type":"t","recorded":"2026-01-02T03:04:06Z"` + fields + "}\n"
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// TestImport_EndsALineWhereItPassesALimit has lines that are far beyond a limit. Each is
// refused in much less time and memory than it takes to parse all of it.
func TestImport_EndsALineWhereItPassesALimit(t *testing.T) {
	for name, tt := range map[string]struct{ line, says string }{
		"tags":               {lineWith(`,"tags":[` + repeat(500_000, `"tag-%d",`) + `]`), "more than 128 tags"},
		"a tag":              {lineWith(`,"tags":["` + strings.Repeat("t", 256) + `"]`), "the tag has more than 255 bytes"},
		"a tag with escapes": {lineWith(`,"tags":["` + strings.Repeat(`\u0041`, 256) + `"]`), "the tag has more than 255 bytes"},
		"a tag twice":        {lineWith(`,"tags":[` + repeat(100, `"tag-%d",`) + `,"tag-7"]`), `"tag-7" occurs twice`},
		"metadata":           {lineWith(`,"metadata":{` + repeat(500_000, `"key-%d":"",`) + `}`), "the metadata has more than 65536 bytes"},
		"a metadata value":   {lineWith(`,"metadata":{"k":"` + strings.Repeat("v", 65_536) + `"}`), "the metadata has more than 65536 bytes"},
		"a metadata key":     {lineWith(`,"metadata":{"` + strings.Repeat("k", 65_537) + `":""}`), "a name has more than 65536 bytes"},
		"no metadata key":    {lineWith(`,"metadata":{"":""}`), "a key is empty"},
		"a type":             {lineWith(`,"codec":"` + strings.Repeat("c", 20<<20) + `"`), "the codec has more than 255 bytes"},
		"a key":              {strings.Replace(lineWith(""), `"n":1`, `"n":1,"key":"`+strings.Repeat("k", 1<<20)+`"`, 1), "the key has more than 255 bytes"},
		"a payload":          {lineWith(`,"data":"` + strings.Repeat("d", 16<<20) + `"`), "the payload has more than 16777216 bytes"},
		"base64":             {lineWith(`,"data_base64":"` + strings.Repeat("AAAA", (16<<20)/3+1) + `"`), "the payload has more than 16777216 bytes"},
		"a field's name":     {lineWith(`,"` + strings.Repeat("f", 1<<20) + `":1`), "a name has more than 64 bytes"},
		"a number":           {strings.Replace(lineWith(""), `"position":1`, `"position":`+strings.Repeat("1", 20<<20), 1), "not an integer"},
		"an id":              {strings.Replace(lineWith(""), "00000000-", strings.Repeat("0", 1<<20), 1), "the id has more than 64 bytes"},
		"a time":             {strings.Replace(lineWith(""), "06Z", "06."+strings.Repeat("0", 1<<20)+"Z", 1), "the time has more than 64 bytes"},
		"nesting":            {lineWith(`,"data":` + strings.Repeat("[", 8<<20) + strings.Repeat("]", 8<<20)), "not JSON"},
		"nested fields":      {strings.Repeat(`{"commit":`, 2<<20), `"commit" is unknown`},
		"a commit":           {strings.Replace(lineWith(""), `"n":1`, `"n":65537`, 1), "a commit of 65537 events"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := boltstore.Import(t.Context(), logPath(t), strings.NewReader(tt.line), nil)
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.ErrorContains(t, err, "line 1: ")
			require.ErrorContains(t, err, tt.says)
			require.Less(t, len(err.Error()), 2_000)
			require.Less(t, time.Since(begin), 5*time.Second)
		})
	}
}

// TestImport_CommitsAreBounded has a commit whose lines are within the limits one by one.
func TestImport_CommitsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct{ fields, says string }{
		"metadata": {`,"metadata":{"k":"` + strings.Repeat("v", 60<<10) + `"}`, "more than 67108864 bytes of payload and metadata"},
		"names":    {`,"tags":[` + repeat(128, `"`+strings.Repeat("t", 250)+`%03d",`) + `]`, "more than 67108864 bytes of streams, types, codecs and tags"},
		"tags":     {`,"tags":[` + repeat(128, `"%d",`) + `]`, "more than 1048576 tags"},
	} {
		t.Run(name, func(t *testing.T) {
			line := strings.Replace(lineWith(tt.fields), `"n":1`, `"n":60000`, 1)
			n := 0
			r := readerFunc(func(p []byte) (int, error) { // one line a call
				here := strings.Replace(strings.Replace(line, `"i":0`, fmt.Sprintf(`"i":%d`, n), 1), `"position":1`, fmt.Sprintf(`"position":%d`, n+1), 1)
				if len(p) < len(here) {
					return copy(p, "            "), nil // spaces between the lines, so that the next call has more room
				}
				n++
				return copy(p, here), nil
			})
			_, err := boltstore.Import(t.Context(), logPath(t), r, nil)
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.ErrorContains(t, err, tt.says)
			require.Less(t, n, 10_000)
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestImport_LooksAtTheContextWithinALine: a line may come slowly, and need not end.
func TestImport_LooksAtTheContextWithinALine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	_, err := boltstore.Import(ctx, logPath(t), io.MultiReader(bytes.NewReader([]byte(`{"type":"`)), readerFunc(func(p []byte) (int, error) {
		if reads++; reads == 3 {
			cancel()
		}
		require.Less(t, reads, 5)
		return copy(p, "x"), nil
	})), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, reads)
}

// TestRestore_EndsWithItsContext: also while a frame is being read.
func TestRestore_EndsWithItsContext(t *testing.T) {
	backup := smallBackup(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in := iotest.OneByteReader(bytes.NewReader(backup))
	read := 0
	slow := readerFunc(func(p []byte) (int, error) {
		if read++; read == len(backup)-100 {
			cancel()
		}
		return in.Read(p)
	})
	_, err := boltstore.Restore(ctx, logPath(t), nil, slow)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, len(backup)-100, read)

	_, err = boltstore.VerifyBackup(t.Context(), readerFunc(func([]byte) (int, error) { return 0, nil }))
	require.ErrorIs(t, err, io.ErrNoProgress)
}
