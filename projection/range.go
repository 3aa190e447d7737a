package projection

import (
	"bytes"
	"reflect"

	"github.com/yore-es/yore/eventstore"
)

// Range is a range of keys, with the direction and the number of rows to read. The zero
// Range is all keys, from the lowest to the highest. Methods return a changed copy:
//
//	projection.Range[int64]{}.Backward().Limit(10) // the ten highest
//	projection.Prefix("23").Limit(100)
type Range[K comparable] struct{ span span }

// span is a Range with its keys, or the values of an index, encoded.
type span struct {
	from, to []byte // from ≤ key < to; empty is no bound
	backward bool
	limit    int
	after    Cursor
}

// AtLeast returns the range of the keys ≥ k.
func AtLeast[K comparable](k K) Range[K] { return Range[K]{span{from: bound(k)}} }

// LessThan returns the range of the keys < k.
func LessThan[K comparable](k K) Range[K] { return Range[K]{span{to: bound(k)}} }

// AtMost returns the range of the keys ≤ k. In an index it has all rows that have k.
func AtMost[K comparable](k K) Range[K] {
	_, to := prefixScan(bound(k))
	return Range[K]{span{to: to}}
}

// Between returns the range of the keys ≥ from and < to. It is empty if to ≤ from.
func Between[K comparable](from, to K) Range[K] {
	return Range[K]{span{from: bound(from), to: bound(to)}}
}

// Equal returns the range of the key k. In an index it has all rows that have k.
func Equal[K comparable](k K) Range[K] {
	from, to := prefixScan(bound(k))
	return Range[K]{span{from: from, to: to}}
}

// Prefix returns the range of the strings that begin with a prefix.
func Prefix[K ~string](prefix K) Range[K] {
	from, to := prefixScan(appendEscaped(nil, string(prefix)))
	return Range[K]{span{from: from, to: to}}
}

// FirstEqual returns the range of the pairs whose first part is a, with any second part of
// type B: FirstEqual[uuid.UUID]("ann").
func FirstEqual[B, A comparable](a A) Range[Pair[A, B]] {
	from, to := prefixScan(bound(a))
	return Range[Pair[A, B]]{span{from: from, to: to}}
}

// Backward returns the range from the highest key down.
func (r Range[K]) Backward() Range[K] {
	r.span.backward = true
	return r
}

// Limit returns the range that ends after n rows. 0 means no limit. A negative number is
// ErrInvalid where the range is used.
func (r Range[K]) Limit(n int) Range[K] {
	r.span.limit = n
	return r
}

// After returns the part of the range after a cursor, in the range's direction. The zero
// Cursor leaves nothing out. A cursor that is damaged, or is of another table or index, is
// ErrInvalid where the range is used.
func (r Range[K]) After(c Cursor) Range[K] {
	r.span.after = c
	return r
}

// scan returns the scan of a stored table.
func (s span) scan(in storedTable) (eventstore.RowScan, error) {
	scan := eventstore.RowScan{Table: in.table, From: s.from, To: s.to, Backward: s.backward, Limit: s.limit}
	if s.after == "" {
		return scan, nil
	}
	key, err := in.key(s.after)
	switch {
	case err != nil:
		return eventstore.RowScan{}, err
	case !s.backward && bytes.Compare(key, scan.From) >= 0:
		scan.From = append(key, 0) // the lowest key above it
	case s.backward && (len(scan.To) == 0 || bytes.Compare(key, scan.To) < 0):
		scan.To = key
	}
	return scan, nil
}

// bound returns the bytes of a key; none if its type cannot be one, as no projection with
// such a table ever runs.
func bound[K comparable](k K) []byte {
	if keyFault(reflect.TypeFor[K]()) != "" {
		return nil
	}
	return appendKey(nil, k)
}
