package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
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

var changesBucket = []byte("changes") // a bucket for each view that has layers: number, table, NUL, key -> change and checksum

// maxChanges is how many layers may lie over a view's own. Whoever reads a row looks
// through all that are there.
const maxChanges = 8

// What a group changes of a view is worth a layer if there are so many rows, and the
// view has so many times more: else it has few pages to write, or the view has.
// And it is bounded, in bytes, as layers are folded as a whole.
const (
	layerRows  = 8
	layerShare = 4
	layerBytes = 256 << 10
)

// A change is what a layer has under a row's key: the row's value behind a byte
// that says that there is one, or nothing where the row was deleted.
const changePut = 1

// firstRow is the first key that a row can have in a bucket; before it is the tally.
var firstRow = []byte{1}

// layer is a view's own rows, or changes of them.
type layer struct {
	view   eventstore.ViewID
	bucket *bolt.Bucket
	number []byte // what the keys of changes begin with; nil: the view's own rows
}

// layersOf returns the layers of a view, the newest first; none if the view has no
// rows.
func layersOf(tx *bolt.Tx, view eventstore.ViewID) ([]layer, error) {
	own := viewRows(tx, view)
	if own == nil {
		return nil, nil
	}
	t, _, err := readTally(tx, own, view)
	if err != nil {
		return nil, err
	}
	over, err := changesOf(tx, view, t)
	if err != nil {
		return nil, err
	}
	return append(over, layer{view: view, bucket: own}), nil
}

// changesOf returns the layers over a view's own that its tally says there are, the
// newest first.
func changesOf(tx *bolt.Tx, view eventstore.ViewID, t tally) ([]layer, error) {
	if t.changes == 0 {
		return nil, nil
	}
	b := viewChanges(tx, view)
	if b == nil {
		return nil, fmt.Errorf("%w: view %q: the last changes of its rows are missing", eventstore.ErrCorrupt, view)
	}
	layers := make([]layer, 0, t.changes+1)
	for number := t.newest; number > t.newest-uint64(t.changes); number-- {
		layers = append(layers, layer{view: view, bucket: b, number: binary.BigEndian.AppendUint64(nil, number)})
	}
	return layers, nil
}

// viewChanges returns the bucket of a view's layers, or nil if it has none.
func viewChanges(tx *bolt.Tx, view eventstore.ViewID) *bolt.Bucket {
	b := tx.Bucket(changesBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view))
}

// makeChanges returns the bucket of a view's layers, which it makes if it is not there.
// An older Yore would not look there, so the file has a format that it refuses from
// then on.
func makeChanges(tx *bolt.Tx, view eventstore.ViewID) (*bolt.Bucket, error) {
	if err := raiseFormat(tx); err != nil {
		return nil, err
	}
	b, err := tx.CreateBucketIfNotExists(changesBucket)
	if err != nil {
		return nil, err
	}
	return b.CreateBucketIfNotExists([]byte(view))
}

// dropChanges removes all layers over a view's own.
func dropChanges(tx *bolt.Tx, view eventstore.ViewID) error {
	if viewChanges(tx, view) == nil {
		return nil
	}
	return tx.Bucket(changesBucket).DeleteBucket([]byte(view))
}

// rowEntry is what a layer says of a row.
type rowEntry struct {
	key    []byte // the row's, without the layer's number
	sealed []byte // as the file holds it
	value  []byte // part of sealed; nil: the row was deleted
}

// open returns the entry that the layer has under a key of its bucket. It is good until
// the transaction ends.
func (l *layer) open(key, sealed []byte) (rowEntry, error) {
	if err := checkRow(l.view, key, sealed); err != nil {
		return rowEntry{}, err
	}
	value := sealed[: len(sealed)-crcSize : len(sealed)-crcSize]
	if l.number == nil {
		return rowEntry{key, sealed, value}, nil
	}
	switch key = key[len(l.number):]; {
	case len(value) == 0:
		return rowEntry{key, sealed, nil}, nil
	case value[0] != changePut:
		return rowEntry{}, corruptRow(l.view, key, "it is of no kind of change")
	}
	return rowEntry{key, sealed, value[1:]}, nil
}

// rowFinder looks rows up in layers, the newest first.
type rowFinder struct {
	layers  []layer
	cursors []*bolt.Cursor
	key     []byte
}

func newRowFinder(layers []layer) *rowFinder {
	f := &rowFinder{layers: layers, cursors: make([]*bolt.Cursor, len(layers))}
	for i, l := range layers {
		if i > 0 && layers[i-1].bucket == l.bucket {
			f.cursors[i] = f.cursors[i-1]
		} else {
			f.cursors[i] = l.bucket.Cursor()
		}
	}
	return f
}

// find returns a copy of the value of the row under a key; nil if there is none.
func (f *rowFinder) find(key []byte) ([]byte, error) {
	for i := range f.layers {
		l := &f.layers[i]
		f.key = append(append(f.key[:0], l.number...), key...)
		sealed, err := lookUp(f.cursors[i], l.view, f.key, checkRow)
		if err != nil {
			return nil, err
		}
		if sealed != nil {
			e, err := l.open(f.key, sealed)
			return bytes.Clone(e.value), err
		}
	}
	return nil, nil
}

// rowCursor goes over what layers say of the rows of a range, in order. Also of what
// it passes, and of what is behind the range's ends, it sees that it is whole: so
// there is nothing between.
type rowCursor struct {
	from, to []byte // from ≤ key < to; to nil: no end
	backward bool
	layers   []layerCursor  // the newest first
	passed   func(rowEntry) // if it is set, told of each entry of each layer
}

// layerCursor is where a rowCursor is in one layer.
type layerCursor struct {
	layer
	cursor   *bolt.Cursor
	from, to []byte   // the range, as keys of the layer's bucket
	at       rowEntry // with a nil key behind the last of the range
}

// start goes to the range's first row, in the direction of the cursor.
func (c *rowCursor) start(layers []layer) error {
	c.layers = make([]layerCursor, len(layers))
	for i := range layers {
		if err := c.startIn(&c.layers[i], layers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *rowCursor) startIn(l *layerCursor, in layer) error {
	*l = layerCursor{layer: in, cursor: in.bucket.Cursor(), from: c.from, to: c.to}
	if in.number != nil {
		l.from = append(bytes.Clone(in.number), c.from...)
		l.to = append(bytes.Clone(in.number), c.to...)
		if c.to == nil {
			l.to = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(in.number)+1)
		}
	}
	if err := c.load(l, c.seek); err != nil {
		return err
	}
	edge := l.from
	if c.backward {
		edge = l.to
	}
	_, err := lookUp(in.bucket.Cursor(), in.view, edge, checkRow)
	return err
}

func (c *rowCursor) seek(l *layerCursor) (key, sealed []byte) {
	if !c.backward {
		return l.cursor.Seek(l.from)
	}
	if key, _ = l.cursor.Seek(l.to); key == nil {
		return l.cursor.Last()
	}
	return l.cursor.Prev()
}

func (c *rowCursor) step(l *layerCursor) (key, sealed []byte) {
	if c.backward {
		return l.cursor.Prev()
	}
	return l.cursor.Next()
}

// load moves a layer's cursor to its next entry.
func (c *rowCursor) load(l *layerCursor, move func(*layerCursor) (key, sealed []byte)) error {
	before := l.at.key
	l.at = rowEntry{}
	key, sealed := move(l)
	if key == nil {
		return nil
	}
	below, above := bytes.Compare(key, l.from) < 0, l.to != nil && bytes.Compare(key, l.to) >= 0
	if below || above { // of another layer, the tally, or behind the end
		if c.backward != below {
			return corruptRow(l.view, key, "it is out of place")
		}
		return checkRow(l.view, key, sealed)
	}
	e, err := l.open(key, sealed)
	if err == nil && before != nil && !c.before(before, e.key) {
		err = corruptRow(l.view, key, "it is out of place")
	}
	if err == nil {
		l.at = e
	}
	return err
}

// before reports whether the cursor comes to one key before another.
func (c *rowCursor) before(a, b []byte) bool {
	if c.backward {
		a, b = b, a
	}
	return bytes.Compare(a, b) < 0
}

// next returns what is said of the next row of which anything is; its key is nil at
// the end of the range.
func (c *rowCursor) next() (rowEntry, error) {
	var newest rowEntry
	for i := range c.layers {
		if at := c.layers[i].at; at.key != nil && (newest.key == nil || c.before(at.key, newest.key)) {
			newest = at
		}
	}
	if newest.key == nil {
		return rowEntry{}, nil
	}
	for i := range c.layers {
		l := &c.layers[i]
		if l.at.key == nil || !bytes.Equal(l.at.key, newest.key) {
			continue
		}
		if c.passed != nil {
			c.passed(l.at)
		}
		if err := c.load(l, c.step); err != nil {
			return rowEntry{}, err
		}
	}
	return newest, nil
}
