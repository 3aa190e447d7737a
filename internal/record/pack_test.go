package record_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

func TestPack_Bytes(t *testing.T) {
	pack := record.AppendPack([]byte("before"), [][]byte{[]byte("one"), []byte("three"), []byte("")})
	require.Equal(t, []byte("before\x02\x03\x00\x03\x00\x08\x00\x08onethree"), pack)
	require.Equal(t, len(pack)-len("before"), record.PackSize(3, 8))
}

func TestParseValue_OfAPack(t *testing.T) {
	for _, n := range []int{2, 3, record.MaxPacked} {
		var records [][]byte
		for i := range n {
			records = append(records, bytes.Repeat([]byte{byte(i)}, i*60_000/(n*n)))
		}
		v, err := record.ParseValue(1000, record.AppendPack(nil, records))
		require.NoError(t, err)
		require.EqualValues(t, 1000-n+1, v.First)
		require.EqualValues(t, 1000, v.Last)
		require.False(t, v.Has(v.First-1))
		require.True(t, v.Has(v.First))
		require.True(t, v.Has(v.Last))
		require.False(t, v.Has(v.Last+1))
		next := v.First
		for p, rec := range v.All() {
			require.Equal(t, next, p)
			require.Equal(t, len(records[p-v.First]), len(rec))
			require.True(t, bytes.Equal(records[p-v.First], rec))
			require.True(t, bytes.Equal(rec, v.At(p)))
			next++
		}
		require.EqualValues(t, 1001, next)
	}
}

func TestParseValue_OfARecord(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {1}, {0}, []byte("\x01record"), []byte("\x03")} {
		v, err := record.ParseValue(7, b)
		require.NoError(t, err)
		require.EqualValues(t, 7, v.First)
		require.EqualValues(t, 7, v.Last)
		require.Equal(t, b, v.At(7))
	}
}

func TestParseValue_NoPack(t *testing.T) {
	for name, tt := range map[string]struct {
		last   eventstore.Position
		value  string
		reason string
	}{
		"only its format":          {9, "\x02", "no pack of records: 1 bytes"},
		"of no records":            {9, "\x02\x00", "no pack of records: 0 records in 2 bytes"},
		"of one record":            {9, "\x02\x01\x00\x03one", "no pack of records: 1 records in 7 bytes"},
		"of more than there are":   {9, "\x02\x03\x00\x03\x00", "no pack of records: 3 records in 5 bytes"},
		"of more than came before": {2, "\x02\x03\x00\x00\x00\x00\x00\x00", "no pack of records: 3 records in 8 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := record.ParseValue(tt.last, []byte(tt.value))
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.Equal(t, eventstore.CorruptError{Position: tt.last, Reason: tt.reason}, *corrupt)
			for range v.All() {
				t.Fatal("it has a record")
			}
		})
	}
}

// TestValue_AtOfADamagedTable expects that damage to the table of ends costs only
// the records concerned.
func TestValue_AtOfADamagedTable(t *testing.T) {
	for _, ends := range []string{"\x00\x05\x00\x03\x00\x06", "\xff\xff\x00\x03\x00\x06"} {
		v, err := record.ParseValue(9, []byte("\x02\x03"+ends+"abcdef"))
		require.NoError(t, err)
		require.Nil(t, v.At(8))
		require.Equal(t, "def", string(v.At(9)))
	}
	for _, value := range []string{"\x02\x02\x00\x03\x00\x07onetwo", "\x02\x02\x00\x03\x00\x06onetw"} { // the last record is short, or the value is
		v, err := record.ParseValue(9, []byte(value))
		require.NoError(t, err)
		require.Equal(t, "one", string(v.At(8)))
		require.Nil(t, v.At(9))
	}
	v, err := record.ParseValue(math.MaxUint64, []byte("\x02\x02\x00\x01\x00\x02ab"))
	require.NoError(t, err)
	n := 0
	for range v.All() {
		n++
	}
	require.Equal(t, 2, n)
}

// FuzzParseValue parses any value. It must have the positions that it claims, its
// records must be parts of it, and a pack of these must equal it.
func FuzzParseValue(f *testing.F) {
	f.Add(uint64(7), []byte(nil))
	f.Add(uint64(7), []byte("\x01record"))
	f.Add(uint64(1), []byte("\x02"))
	f.Add(uint64(2), []byte("\x02\x02\x00\x03\x00\x06onetwo"))
	f.Add(uint64(1), []byte("\x02\x02\x00\x03\x00\x06onetwo"))
	f.Add(^uint64(0), []byte("\x02\x03\x00\x05\x00\x03\xff\xffabcdef"))
	f.Add(uint64(300), append([]byte("\x02\xff"), make([]byte, 600)...))
	f.Fuzz(func(t *testing.T, position uint64, value []byte) {
		last := eventstore.Position(position)
		if last == 0 {
			return
		}
		v, err := record.ParseValue(last, value)
		if err != nil {
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.Equal(t, last, corrupt.Position)
			require.Equal(t, record.Value{}, v)
			return
		}
		require.Equal(t, last, v.Last)
		require.Positive(t, v.First)
		require.LessOrEqual(t, v.First, last)
		next, whole := v.First, v.First < last
		var records [][]byte
		for p, rec := range v.All() {
			require.Equal(t, next, p)
			require.True(t, v.Has(p))
			require.True(t, bytes.Contains(value, rec))
			whole = whole && rec != nil
			records = append(records, rec)
			next++
		}
		require.Equal(t, last+1, next)
		if pack := record.AppendPack(nil, records); whole && len(pack) == len(value) {
			require.Equal(t, value, pack)
		}
	})
}
