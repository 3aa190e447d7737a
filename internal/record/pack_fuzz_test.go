package record_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// FuzzParseValue: whatever a value of the log is, it has the positions that it says,
// each of its records is a part of it, and what is made of its parts is the same again.
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
