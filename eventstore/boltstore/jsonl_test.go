package boltstore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/jsonl"
)

// FuzzLine: a line that is taken comes back as the same event from the line that
// is made of it, and that line is the same for ever after.
func FuzzLine(f *testing.F) {
	for _, line := range importable(f) {
		f.Add([]byte(strings.TrimSuffix(line, "\n")))
	}
	f.Add([]byte(`{"data_base64":"AP8=","tags":["a","\u2028"],"metadata":{"\ud83d\ude00":"\u0000"},"time":"0001-01-01T00:00:00.000000001Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		first, err := jsonl.ParseLine(line)
		if err != nil {
			return
		}
		require.True(t, json.Valid(line), "what is taken is JSON")
		again, err := jsonl.AppendLine(nil, &first)
		require.NoError(t, err)
		require.True(t, json.Valid(again))
		second, err := jsonl.ParseLine(bytes.TrimSuffix(again, []byte("\n")))
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

// The longest line that an event within the limits can have is within the limit
// of lines.
func TestLine_TheLongestIsWithinTheLimit(t *testing.T) {
	s := open(t, logPath(t), nil)
	limits := s.Info().Limits
	e := eventstore.NewEvent{
		Stream: eventstore.StreamID(strings.Repeat("\x01", limits.NameBytes)), Type: strings.Repeat("\x01", limits.NameBytes),
		Codec: strings.Repeat("\x01", limits.NameBytes), SchemaVersion: 1<<32 - 1, Metadata: eventstore.Metadata{},
		Data: bytes.Repeat([]byte{0xff}, limits.PayloadBytes),
	}
	for i := range limits.TagsPerEvent {
		e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprintf("%0*d", 3, i)+strings.Repeat("\x01", limits.NameBytes-3)))
	}
	for i := range limits.MetadataBytes / 4 { // short entries take the most room for their bytes
		e.Metadata[string([]byte{byte(i>>12)&7 + 1, byte(i>>9)&7 + 1, byte(i>>4)&31 + 1, byte(i)&15 + 1})] = ""
	}
	_, err := s.Append(t.Context(), eventstore.Commit{
		Key: strings.Repeat("\x02", limits.NameBytes), Events: []eventstore.NewEvent{e},
		Expect: []eventstore.Expect{{Stream: e.Stream, At: eventstore.NoStream}},
	})
	require.NoError(t, err)
	var line bytes.Buffer
	_, err = s.Export(t.Context(), &line, nil)
	require.NoError(t, err)
	require.Greater(t, line.Len(), 22_500_000)
	require.LessOrEqual(t, line.Len(), jsonl.MaxLine(limits))

	copied := logPath(t)
	_, err = boltstore.Import(t.Context(), copied, &line, nil)
	require.NoError(t, err)
	require.Equal(t, logged(t, s), logged(t, open(t, copied, nil)))
}

// What the payloads and names of a log look like does not matter.
func TestLine_RoundTripsNastyEvents(t *testing.T) {
	seed := rand.Uint64()
	path := logPath(t)
	nastyLog(t, path, seed, 200)
	content, _ := export(t, path, 0)
	base64, plain := 0, 0
	for line := range bytes.Lines(content) {
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(line, &fields), "any JSON library can read it")
		if _, ok := fields["data_base64"]; ok {
			base64++
		}
		if _, ok := fields["data"]; ok {
			plain++
		}
		r, err := jsonl.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		require.NoError(t, err)
		again, err := jsonl.AppendLine(nil, &r)
		require.NoError(t, err)
		require.Equal(t, string(line), string(again))
	}
	require.Positive(t, base64)
	require.Positive(t, plain)
}
