package record_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

var recorded = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func encode(e eventstore.NewEvent, place record.Place, key string, p eventstore.Position, v eventstore.Version) []byte {
	rec := record.Append(nil, &e, place, key)
	record.Seal(rec, p, v, recorded)
	return rec
}

func TestDecode_ReturnsWhatWasEncoded(t *testing.T) {
	id := uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab")
	full := eventstore.NewEvent{
		Stream: "cart-7", ID: id, Type: "cart.item-added", SchemaVersion: 3, Codec: "json",
		Data:     []byte(`{"sku":"A"}`),
		Metadata: eventstore.Metadata{"actor": "ann", "correlation-id": "", "z": strings.Repeat("m", 300)},
		Tags:     []eventstore.Tag{"sku:A", "customer:42"},
		Time:     time.Date(1, 2, 3, 4, 5, 6, 7, time.UTC),
	}
	tests := map[string]struct {
		event eventstore.NewEvent
		place record.Place
		key   string
	}{
		"full":         {full, record.Place{I: 0, N: 1}, "command-1"},
		"not first":    {full, record.Place{I: 4, N: 5}, ""},
		"bare":         {eventstore.NewEvent{Type: "t"}, record.Place{I: 0, N: 1}, ""},
		"large":        {eventstore.NewEvent{Type: "t", SchemaVersion: math.MaxUint32, Data: make([]byte, 1<<20)}, record.Place{I: 65535, N: 65536}, ""},
		"longest name": {eventstore.NewEvent{Type: strings.Repeat("t", 255), Stream: eventstore.StreamID(strings.Repeat("s", 255))}, record.Place{N: 1}, strings.Repeat("k", 255)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rec := encode(tt.event, tt.place, tt.key, 17, 5)
			require.LessOrEqual(t, len(rec), record.MaxSize(&tt.event, tt.key))
			got, err := record.Decode(17, rec)
			require.NoError(t, err)

			want := eventstore.Event{
				Position: 17, Stream: tt.event.Stream, Version: 5, ID: tt.event.ID, Type: tt.event.Type,
				SchemaVersion: tt.event.SchemaVersion, Codec: tt.event.Codec, Data: append([]byte{}, tt.event.Data...),
				Metadata: tt.event.Metadata, Tags: tt.event.Tags, Recorded: recorded, Time: recorded,
			}
			if !tt.event.Time.IsZero() {
				want.Time = tt.event.Time
			}
			require.Equal(t, record.Record{Event: want, Place: tt.place, Key: tt.key}, got)
		})
	}
}

func TestAppend_KeepsTheKeyInTheFirstEventOnly(t *testing.T) {
	rec := encode(eventstore.NewEvent{Type: "t"}, record.Place{I: 1, N: 2}, "key", 1, 0)
	got, err := record.Decode(1, rec)
	require.NoError(t, err)
	require.Empty(t, got.Key)
}

func TestDecode_DetectsAnyChange(t *testing.T) {
	event := eventstore.NewEvent{Stream: "s-1", Type: "t", Data: []byte("payload"), Tags: []eventstore.Tag{"a"}}
	rec := encode(event, record.Place{N: 1}, "key", 9, 2)
	var corrupt *eventstore.CorruptError

	_, err := record.Decode(10, rec)
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 10, corrupt.Position)
	for bit := range len(rec) * 8 {
		damaged := append([]byte{}, rec...)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := record.Decode(9, damaged)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
	}
	for size := range rec {
		_, err := record.Decode(9, rec[:size])
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "%d bytes", size)
	}
}

// TestDecode_NeverPanicsUnderARightChecksum changes bytes under a correct checksum,
// as chance or a faulty writer may. Decode must not trust them.
func TestDecode_NeverPanicsUnderARightChecksum(t *testing.T) {
	event := eventstore.NewEvent{
		Stream: "s-1", Type: "t", Data: []byte("payload"), Tags: []eventstore.Tag{"a", "b"},
		Metadata: eventstore.Metadata{"k": "v"}, Time: recorded,
	}
	rec := encode(event, record.Place{N: 1}, "key", 9, 2)
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 50_000 {
		damaged := append([]byte{}, rec[:random.IntN(len(rec)+1)]...)
		for range random.IntN(4) {
			if len(damaged) > 0 {
				damaged[random.IntN(len(damaged))] = byte(random.Uint32())
			}
		}
		if _, err := record.Decode(9, reseal(damaged, 9)); err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			refused++
		}
	}
	require.Positive(t, refused)
}

// reseal gives the bytes a correct checksum.
func reseal(rec []byte, p eventstore.Position) []byte {
	if len(rec) < 4 {
		return rec
	}
	body := rec[:len(rec)-4]
	key := record.Key(p)
	sum := crc32.Checksum(append(key[:], body...), crc32.MakeTable(crc32.Castagnoli))
	return binary.BigEndian.AppendUint32(body, sum)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, uint64(1))
	f.Add(encode(eventstore.NewEvent{Type: "t"}, record.Place{N: 1}, "", 1, 0), uint64(1))
	f.Add(encode(eventstore.NewEvent{
		Stream: "s-1", Type: "t", Codec: "json", Data: []byte("{}"), Tags: []eventstore.Tag{"a", "b"},
		Metadata: eventstore.Metadata{"k": "v"}, Time: recorded,
	}, record.Place{N: 3}, "key", 7, 2), uint64(7))
	f.Fuzz(func(t *testing.T, data []byte, position uint64) {
		p := eventstore.Position(position)
		got, err := record.Decode(p, reseal(data, p))
		if err != nil {
			var corrupt *eventstore.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Position != p {
				t.Fatalf("Decode of position %d: error %v, want a CorruptError of that position", p, err)
			}
			return
		}
		// A decoded record can be encoded again and then decodes to the same.
		e := got.Event
		again := record.Append(nil, &eventstore.NewEvent{
			Stream: e.Stream, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion, Codec: e.Codec,
			Data: e.Data, Metadata: e.Metadata, Tags: e.Tags, Time: e.Time,
		}, got.Place, got.Key)
		record.Seal(again, p, e.Version, e.Recorded)
		back, err := record.Decode(p, again)
		require.NoError(t, err)
		if got.Place.I > 0 {
			got.Key = "" // encoded in the first event only
		}
		if e.Time.IsZero() {
			got.Event.Time = e.Recorded // the zero Time is not encoded: it means Recorded
		}
		require.Equal(t, got, back)
	})
}

func BenchmarkAppend(b *testing.B) {
	event := benchmarkEvent()
	buffer := make([]byte, 0, record.MaxSize(&event, ""))
	b.ReportAllocs()
	for b.Loop() {
		rec := record.Append(buffer[:0], &event, record.Place{N: 1}, "")
		record.Seal(rec, 1, 1, recorded)
	}
}

func BenchmarkDecode(b *testing.B) {
	rec := encode(benchmarkEvent(), record.Place{N: 1}, "", 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Decode(1, rec); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkEvent() eventstore.NewEvent {
	return eventstore.NewEvent{
		Stream: "cart-01956f1e-7c00-7abc-8def-0123456789ab", Type: "cart.item-added", SchemaVersion: 1, Codec: "json",
		Data: make([]byte, 256), Tags: []eventstore.Tag{"sku:85123A", "customer:42"},
	}
}
