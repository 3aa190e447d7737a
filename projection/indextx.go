package projection

import "iter"

// IndexTx is an index in a handler: see [TableTx].
type IndexTx[K comparable, V any, I comparable] struct {
	x  *Index[K, V, I]
	tx Tx
}

// In returns the index for the handler that was given tx, as [Table.In] does.
func (x *Index[K, V, I]) In(tx Tx) IndexTx[K, V, I] { return IndexTx[K, V, I]{x, tx} }

// Get returns the row that has this value in the index, the first one if there are several,
// and whether there is one.
func (t IndexTx[K, V, I]) Get(value I) (Row[K, V], bool, error) {
	for row, err := range t.Scan(Equal(value).Limit(1)) {
		return row, err == nil, err
	}
	return Row[K, V]{}, false, nil
}

// Scan yields the rows whose indexed value is in a range, as they are when ranging starts.
// The loop's body may read and write. An error is the last element.
func (t IndexTx[K, V, I]) Scan(values Range[I]) iter.Seq2[Row[K, V], error] {
	if err := t.x.t.In(t.tx).check(); err != nil {
		return func(yield func(Row[K, V], error) bool) { yield(Row[K, V]{}, err) }
	}
	return t.x.source().scanTx(t.tx, values.span, t.x.inHandler)
}
