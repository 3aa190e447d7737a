package record

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

const (
	packFormat = 2
	packHeader = 2 // format and number of records
	endSize    = 2 // of each record's end

	// MaxPacked is the most records that a pack can hold.
	MaxPacked = 255
)

// PackSize returns the size in bytes of a pack of n records with bytes bytes in all.
func PackSize(n, bytes int) int { return packHeader + n*endSize + bytes }

// AppendPack appends a pack of 2 to MaxPacked records to dst. The records must have
// less than 64 KiB in all.
func AppendPack(dst []byte, records [][]byte) []byte {
	dst = append(dst, packFormat, byte(len(records)))
	end := 0
	for _, rec := range records {
		end += len(rec)
		dst = binary.BigEndian.AppendUint16(dst, uint16(end))
	}
	for _, rec := range records {
		dst = append(dst, rec...)
	}
	return dst
}

// Value is a value of the log bucket: the records of positions First to Last. Its
// key is that of Last. The zero Value holds no records.
type Value struct {
	First, Last eventstore.Position
	bytes       []byte
	table       int // bytes before the first record; 0 for a single record
}

// ParseValue parses the value under the key of a position. A value that does not
// begin as a pack does is a single record, intact or not. A pack that is shorter
// than its header says is a [*eventstore.CorruptError] of that position. The ends of
// the records are not checked here but with each record, so that damage to the table
// of ends costs only the records concerned.
func ParseValue(last eventstore.Position, value []byte) (Value, error) {
	if len(value) == 0 || value[0] != packFormat {
		return Value{First: last, Last: last, bytes: value}, nil
	}
	if len(value) < packHeader {
		return Value{}, noPack(last, "%d bytes", len(value))
	}
	n := int(value[1])
	v := Value{First: last - eventstore.Position(n) + 1, Last: last, bytes: value, table: PackSize(n, 0)}
	if n < 2 || eventstore.Position(n) > last || v.table > len(value) {
		return Value{}, noPack(last, "%d records in %d bytes", n, len(value))
	}
	return v, nil
}

func noPack(last eventstore.Position, format string, args ...any) error {
	return &eventstore.CorruptError{Position: last, Reason: "no pack of records: " + fmt.Sprintf(format, args...)}
}

// Has reports whether the value has a record of position p, which must not be 0.
func (v *Value) Has(p eventstore.Position) bool { return v.First <= p && p <= v.Last }

// At returns the bytes of the record at a position that the value has, for [Decode]
// to check. They are a part of the value. They may be empty if the value is damaged.
func (v *Value) At(p eventstore.Position) []byte {
	i := int(p - v.First)
	start, end := v.end(i-1), v.end(i)
	if start > end || end > len(v.bytes) {
		return nil
	}
	return v.bytes[start:end]
}

// All iterates over the positions and their records' bytes, in order, as [Value.At]
// returns them.
func (v *Value) All() iter.Seq2[eventstore.Position, []byte] {
	return func(yield func(eventstore.Position, []byte) bool) {
		for p := v.First; p > 0 && v.Has(p); p++ {
			if !yield(p, v.At(p)) {
				return
			}
		}
	}
}

// end returns the offset of the end of the i-th record. The end of record -1 is
// where the first record begins.
func (v *Value) end(i int) int {
	switch {
	case i < 0:
		return v.table
	case v.table == 0:
		return len(v.bytes)
	}
	return v.table + int(binary.BigEndian.Uint16(v.bytes[PackSize(i, 0):]))
}
