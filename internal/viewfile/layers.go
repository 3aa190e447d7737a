package viewfile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// The rows of a view lie in layers. The lowest is the view's own bucket, which has
// all rows but for what the last few groups have changed of them. Each of these
// has left its changes in another bucket, under its number, as a layer over those
// before.
//
// For a group changes rows at random places, and in the view's bucket each would
// be on a page of its own: four times the bytes of the events, at as many places.
// One behind the other, they are on a few pages. When there are maxChanges of such
// layers, the next group that changes the view folds them all into the view's
// bucket: each page is written once for all that they have changed on it.
//
// What is read is what the newest layer has that has anything under a key. Which there
// are is in the view's tally.

// maxChanges is how many layers may lie over a view's own. Whoever reads a row looks
// through all that are there.
const maxChanges = 8

// What a group changes of a view is worth a layer if there are so many rows, or layers
// already, and the view has so many times more: else it has few pages to write, or the
// view has. And it is bounded, in bytes, as layers are folded as a whole.
const (
	layerRows  = 8
	layerShare = 4
	layerBytes = 256 << 10
)

// A change is what a layer has under a row's key: the row's value behind a byte
// that says that there is one, or nothing where the row was deleted.
const changePut = 1

// FirstRow is the first key that a row can have in a bucket; before it is the tally.
var FirstRow = []byte{1}

// Layer is a view's own rows, or changes of them.
type Layer struct {
	View   eventstore.ViewID
	Bucket *bolt.Bucket
	Number []byte // what the keys of changes begin with; nil: the view's own rows
}

// Layers returns the layers of a view, the newest first; none if the view has no
// rows.
func Layers(tx *bolt.Tx, view eventstore.ViewID) ([]Layer, error) {
	own := Rows(tx, view)
	if own == nil {
		return nil, nil
	}
	t, _, err := ReadTally(tx, own, view)
	if err != nil {
		return nil, err
	}
	over, err := Changes(tx, view, t)
	if err != nil {
		return nil, err
	}
	return append(over, Layer{View: view, Bucket: own}), nil
}

// Changes returns the layers over a view's own that its tally says there are, the
// newest first.
func Changes(tx *bolt.Tx, view eventstore.ViewID, t Tally) ([]Layer, error) {
	if t.changes == 0 {
		return nil, nil
	}
	b := ChangesBucket(tx, view)
	if b == nil {
		return nil, fmt.Errorf("%w: view %q: the last changes of its rows are missing", eventstore.ErrCorrupt, view)
	}
	layers := make([]Layer, 0, t.changes+1)
	for number := t.newest; number > t.newest-uint64(t.changes); number-- {
		layers = append(layers, Layer{View: view, Bucket: b, Number: binary.BigEndian.AppendUint64(nil, number)})
	}
	return layers, nil
}

// ChangesBucket returns the bucket of a view's layers, or nil if it has none.
func ChangesBucket(tx *bolt.Tx, view eventstore.ViewID) *bolt.Bucket {
	b := tx.Bucket(logfile.ChangesBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view))
}

// makeChanges returns the bucket of a view's layers, which it makes if it is not there.
// An older Yore would not look there, so the file has a format that it refuses from
// then on.
func makeChanges(tx *bolt.Tx, view eventstore.ViewID) (*bolt.Bucket, error) {
	if err := logfile.RaiseFormat(tx); err != nil {
		return nil, err
	}
	b, err := tx.CreateBucketIfNotExists(logfile.ChangesBucket)
	if err != nil {
		return nil, err
	}
	return b.CreateBucketIfNotExists([]byte(view))
}

// dropChanges removes all layers over a view's own.
func dropChanges(tx *bolt.Tx, view eventstore.ViewID) error {
	if ChangesBucket(tx, view) == nil {
		return nil
	}
	return tx.Bucket(logfile.ChangesBucket).DeleteBucket([]byte(view))
}

// Entry is what a layer says of a row.
type Entry struct {
	Key    []byte // the row's, without the layer's number
	Sealed []byte // as the file holds it
	Value  []byte // part of sealed; nil: the row was deleted
}

// Open returns the entry that the layer has under a key of its bucket. It is good until
// the transaction ends.
func (l *Layer) Open(key, sealed []byte) (Entry, error) {
	if err := checkRow(l.View, key, sealed); err != nil {
		return Entry{}, err
	}
	value := sealed[: len(sealed)-logfile.CrcSize : len(sealed)-logfile.CrcSize]
	if l.Number == nil {
		return Entry{key, sealed, value}, nil
	}
	switch key = key[len(l.Number):]; {
	case len(value) == 0:
		return Entry{key, sealed, nil}, nil
	case value[0] != changePut:
		return Entry{}, corruptRow(l.View, key, "it is of no kind of change")
	}
	return Entry{key, sealed, value[1:]}, nil
}

// rowFinder looks rows up in layers, the newest first.
type rowFinder struct {
	layers  []Layer
	cursors []*bolt.Cursor
	key     []byte
}

func newRowFinder(layers []Layer) *rowFinder {
	f := &rowFinder{layers: layers, cursors: make([]*bolt.Cursor, len(layers))}
	for i, l := range layers {
		if i > 0 && layers[i-1].Bucket == l.Bucket {
			f.cursors[i] = f.cursors[i-1]
		} else {
			f.cursors[i] = l.Bucket.Cursor()
		}
	}
	return f
}

// find returns a copy of the value of the row under a key; nil if there is none.
func (f *rowFinder) find(key []byte) ([]byte, error) {
	for i := range f.layers {
		l := &f.layers[i]
		f.key = append(append(f.key[:0], l.Number...), key...)
		sealed, err := lookUp(f.cursors[i], l.View, f.key, checkRow)
		if err != nil {
			return nil, err
		}
		if sealed != nil {
			e, err := l.Open(f.key, sealed)
			return bytes.Clone(e.Value), err
		}
	}
	return nil, nil
}

// change writes rows, or deletes those whose value is nil.
func (t *tallied) change(rows []eventstore.Row) error {
	if t.worthLayer(rows) {
		return t.addLayer(rows)
	}
	if err := t.fold(); err != nil {
		return err
	}
	for i := range rows {
		if err := t.put(rowKey(rows[i].Table, rows[i].Key), rows[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// worthLayer reports whether the rows had better be written as a layer.
func (t *tallied) worthLayer(rows []eventstore.Row) bool {
	if t.tally.changes == maxChanges || t.tally.Rows/layerShare < uint64(len(rows)) {
		return false // also if no tally is kept
	}
	if t.tally.changes == 0 && len(rows) < layerRows {
		return false
	}
	size := 0
	for i := range rows {
		size += len(rows[i].Key) + len(rows[i].Value)
	}
	return size <= layerBytes
}

// addLayer writes rows as the newest layer.
func (t *tallied) addLayer(rows []eventstore.Row) error {
	b, err := makeChanges(t.tx, t.view)
	if err != nil {
		return err
	}
	t.tally.newest++
	t.tally.changes++
	b.FillPercent = 1 // what is there is never changed, and layers come one behind the other
	for i := range rows {
		key := changeKey(t.tally.newest, rows[i].Table, rows[i].Key)
		if old := b.Get(key); old != nil {
			t.tally.remove(old)
		}
		sealed := sealChange(t.view, key, rows[i].Value)
		t.tally.Add(sealed)
		if err := b.Put(key, sealed); err != nil {
			return err
		}
	}
	return nil
}

// fold puts what the layers of changes say into the view's own bucket, and removes
// them.
func (t *tallied) fold() error {
	layers, err := Changes(t.tx, t.view, t.tally)
	if len(layers) == 0 || err != nil {
		return err
	}
	changes := Cursor{From: FirstRow, Passed: func(e Entry) { t.tally.remove(e.Sealed) }}
	if err := changes.Start(layers); err != nil {
		return err
	}
	for {
		e, err := changes.Next()
		if err != nil {
			return err
		}
		if e.Key == nil {
			break
		}
		if err := t.put(e.Key, e.Value); err != nil {
			return err
		}
	}
	t.tally.changes = 0
	return dropChanges(t.tx, t.view)
}
