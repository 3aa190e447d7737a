package record_test

import (
	"bytes"
	"encoding/binary"
	"errors"
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

// seed and before are those of the records in the tests.
var (
	seed   = record.SeedOf(uuid.MustParse("8c0f6d1e-7a54-4a0c-9b0e-6f3d2a1b4c5d"))
	before = record.Chain(0x12345678)
)

var recorded = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func encode(e eventstore.NewEvent, place record.Place, key string, p eventstore.Position, v eventstore.Version) []byte {
	rec := record.Append(nil, &e, place, record.Mark{Key: key})
	record.Seal(rec, seed, before, p, v, recorded)
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
			require.LessOrEqual(t, len(rec), record.MaxSize(&tt.event, record.Mark{Key: tt.key}))
			got, err := record.Decode(seed, 17, rec)
			require.NoError(t, err)

			want := eventstore.Event{
				Position: 17, Stream: tt.event.Stream, Version: 5, ID: tt.event.ID, Type: tt.event.Type,
				SchemaVersion: tt.event.SchemaVersion, Codec: tt.event.Codec, Data: append([]byte{}, tt.event.Data...),
				Metadata: tt.event.Metadata, Tags: tt.event.Tags, Recorded: recorded, Time: recorded,
			}
			if !tt.event.Time.IsZero() {
				want.Time = tt.event.Time
			}
			require.Equal(t, want, got.Event)
			require.Equal(t, tt.place, got.Place)
			require.Equal(t, record.Mark{Key: tt.key}, got.Mark)
			if got.Last() {
				require.Equal(t, before, got.Before)
			}
			identity, err := record.DecodeIdentity(seed, 17, rec)
			require.NoError(t, err)
			want.Data, want.Metadata = nil, nil
			require.Equal(t, want, identity.Event)
			require.Equal(t, got.Mark, identity.Mark)
			require.Equal(t, got.Chain(before), identity.Chain(before))
		})
	}
}

func TestAppend_KeepsTheKeyInTheFirstEventOnly(t *testing.T) {
	rec := encode(eventstore.NewEvent{Type: "t"}, record.Place{I: 1, N: 2}, "key", 1, 0)
	got, err := record.Decode(seed, 1, rec)
	require.NoError(t, err)
	require.Empty(t, got.Key)
}

func TestAppend_KeepsTheDigest(t *testing.T) {
	mark := record.Mark{Key: "key", Digest: []byte{0, 1, 0xff}}
	event := eventstore.NewEvent{Type: "t"}
	rec := record.Append(nil, &event, record.Place{I: 0, N: 2}, mark)
	require.LessOrEqual(t, len(rec), record.MaxSize(&event, mark))
	record.Seal(rec, seed, before, 1, 0, recorded)
	got, err := record.Decode(seed, 1, rec)
	require.NoError(t, err)
	require.Equal(t, mark, got.Mark)
}

// TestDecodeIdentity_NeedsOnlyTheIdentity changes each bit. In the identity, nothing can be
// decoded; in the content, the identity can, and is right.
func TestDecodeIdentity_NeedsOnlyTheIdentity(t *testing.T) {
	event := eventstore.NewEvent{Stream: "s-1", Type: "t", Data: []byte("payload"), Metadata: eventstore.Metadata{"k": "v"}, Tags: []eventstore.Tag{"a"}}
	rec := encode(event, record.Place{N: 1}, "key", 9, 2)
	want, err := record.DecodeIdentity(seed, 9, rec)
	require.NoError(t, err)
	identity := 38 + int(binary.BigEndian.Uint32(rec[34:])) + 4
	matcher := record.Matcher{Seed: seed, Query: eventstore.Stream("s-1")}
	others := record.Matcher{Seed: seed, Query: eventstore.Stream("s-2")}
	for bit := range len(rec) * 8 {
		damaged := append([]byte{}, rec...)
		damaged[bit/8] ^= 1 << (bit % 8)
		got, err := record.DecodeIdentity(seed, 9, damaged)
		_, matches, matchErr := matcher.Decode(9, damaged)
		require.ErrorIs(t, matchErr, eventstore.ErrCorrupt)
		require.True(t, matches)
		_, matches, matchErr = others.Decode(9, damaged)
		if bit/8 < identity {
			require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
			require.ErrorIs(t, matchErr, eventstore.ErrCorrupt, "bit %d", bit)
			require.True(t, matches)
			continue
		}
		require.NoError(t, err, "bit %d", bit)
		require.Equal(t, want, got)
		require.NoError(t, matchErr)
		require.False(t, matches)
	}
}

func TestDecode_RefusesTheRecordOfAnotherStore(t *testing.T) {
	rec := encode(eventstore.NewEvent{Type: "t"}, record.Place{N: 1}, "", 9, 0)
	other := record.SeedOf(uuid.New())
	_, err := record.Decode(other, 9, rec)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	_, err = record.DecodeIdentity(other, 9, rec)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
}

func TestFindSeed(t *testing.T) {
	rec := encode(eventstore.NewEvent{Stream: "s", Type: "t", Data: []byte("x"), Metadata: eventstore.Metadata{"a": "b"}}, record.Place{N: 1}, "k", 9, 2)
	found, ok := record.FindSeed(9, rec)
	require.True(t, ok)
	require.Equal(t, seed, found)
	other, ok := record.FindSeed(10, rec)
	require.True(t, !ok || other != seed, "the position is not the record's")
	for bit := range len(rec) * 8 {
		damaged := append([]byte{}, rec...)
		damaged[bit/8] ^= 1 << (bit % 8)
		found, ok := record.FindSeed(9, damaged)
		require.True(t, !ok || found != seed, "bit %d", bit)
	}
	for size := range rec {
		_, ok := record.FindSeed(9, rec[:size])
		require.False(t, ok, "%d bytes", size)
	}
}

// TestSeal_Chains has records whose running checksums follow each other, and no longer do
// if one of them is another event.
func TestSeal_Chains(t *testing.T) {
	chain := func(types ...string) (chain record.Chain) {
		for i, name := range types {
			rec := record.Append(nil, &eventstore.NewEvent{Type: name, Data: []byte(name)}, record.Place{I: i % 2, N: 2}, record.Mark{})
			p := eventstore.Position(i + 1)
			next := record.Seal(rec, seed, chain, p, 0, recorded)
			r, err := record.Decode(seed, p, rec)
			require.NoError(t, err)
			require.Equal(t, next, r.Chain(chain))
			if i%2 == 1 {
				require.Equal(t, chain, r.Before)
			}
			chain = next
		}
		return chain
	}
	require.NotZero(t, chain("a"))
	require.NotEqual(t, chain("a", "b", "c"), chain("b", "a", "c"))
	require.NotEqual(t, chain("a", "b", "c"), chain("a", "x", "c"))
	require.Equal(t, chain("a", "b", "c"), chain("a", "b", "c"))
}

func TestDecode_DetectsAnyChange(t *testing.T) {
	event := eventstore.NewEvent{Stream: "s-1", Type: "t", Data: []byte("payload"), Tags: []eventstore.Tag{"a"}}
	rec := encode(event, record.Place{N: 1}, "key", 9, 2)
	var corrupt *eventstore.CorruptError

	_, err := record.Decode(seed, 10, rec)
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 10, corrupt.Position)
	for bit := range len(rec) * 8 {
		damaged := append([]byte{}, rec...)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := record.Decode(seed, 9, damaged)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
	}
	for size := range rec {
		_, err := record.Decode(seed, 9, rec[:size])
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
		if _, err := record.Decode(seed, 9, reseal(damaged, 9)); err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			refused++
		}
	}
	require.Positive(t, refused)
}

// reseal gives the bytes correct checksums, if they are long enough for a record.
func reseal(rec []byte, p eventstore.Position) []byte {
	const header, sums = 38, 8
	if len(rec) >= header+sums && int64(binary.BigEndian.Uint32(rec[34:])) <= int64(len(rec)-header-sums) {
		record.Reseal(rec, seed, before, p)
	}
	return rec
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
		got, err := record.Decode(seed, p, reseal(bytes.Clone(data), p))
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
		}, got.Place, got.Mark)
		record.Seal(again, seed, got.Before, p, e.Version, e.Recorded)
		back, err := record.Decode(seed, p, again)
		require.NoError(t, err)
		if got.Place.I > 0 {
			got.Mark = record.Mark{} // encoded in the first event only
		}
		if e.Time.IsZero() {
			got.Event.Time = e.Recorded // the zero Time is not encoded: it means Recorded
		}
		require.Equal(t, got.Event, back.Event)
		require.Equal(t, got.Place, back.Place)
		require.Equal(t, got.Mark, back.Mark)
		require.Equal(t, got.Before, back.Before)
	})
}

func BenchmarkAppend(b *testing.B) {
	event := benchmarkEvent()
	buffer := make([]byte, 0, record.MaxSize(&event, record.Mark{}))
	b.ReportAllocs()
	for b.Loop() {
		rec := record.Append(buffer[:0], &event, record.Place{N: 1}, record.Mark{})
		record.Seal(rec, seed, before, 1, 1, recorded)
	}
}

func BenchmarkDecode(b *testing.B) {
	rec := encode(benchmarkEvent(), record.Place{N: 1}, "", 1, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.Decode(seed, 1, rec); err != nil {
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
