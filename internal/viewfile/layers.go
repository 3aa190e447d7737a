package viewfile

import (
	"encoding/binary"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// # layers
//
// Problem. A group of commits changes rows at random keys. In the view's bucket each of
// them lies on a page of its own: the group would write four times the bytes of its
// events, in as many places.
//
// Layout. The lowest layer is the view's own bucket, which has all rows except the changes
// of the latest groups. Each of these groups has written its changes as a layer: entries
// of another bucket, under the number of the layer, in key order, and so on few pages. A
// change is a new value or a deletion. The view's tally says which layers there are.
//
// Invariants. A row has the value of the newest layer that has an entry for it. A layer
// does not change once it is written. A view has at most maxChanges layers over its own
// rows, with consecutive numbers, which are never used again while the tally exists. The
// tally counts the entries of all layers.
//
// Steps. A group that changes enough rows, but no large part of the view, adds a layer
// (worthLayer). A reader looks for a row in each layer, the newest first, and then in the
// view's own rows; a Cursor merges them. When there are maxChanges layers, or changes do
// not make one, they are folded: the newest value of each changed row goes into the view's
// own bucket, in key order, so that each page is written once for all its changes, and the
// layers are deleted.
//
// Rejected. A bucket for each layer: to open it takes longer than to look into it. Changes
// in memory until there are many: after a crash the view would be behind the log. Merging
// layers with each other before they are folded: it pays only for views far larger than
// what groups change (docs/adr/0015).

// maxChanges is how many layers may lie over a view's own rows. A reader of a row looks
// into all of them.
const maxChanges = 8

// A change of a view becomes a layer if it has layerRows rows, or there are layers already;
// if the view has at least layerShare times as many rows, since otherwise the change covers
// most pages of the view; and if it has at most layerBytes bytes, since all layers are
// folded in one transaction.
const (
	layerRows  = 8
	layerShare = 4
	layerBytes = 256 << 10
)

// changePut is the first byte of a change that puts a value; the value follows. A change
// that deletes the row is empty.
const changePut = 1

// FirstRow is not greater than the key of any row in a bucket, and greater than TallyKey.
var FirstRow = []byte{1}

// Layer is the view's own rows, or one layer of changes.
type Layer struct {
	View   View
	Bucket *pages.Tree
	Number []byte // 8 bytes that its keys begin with; nil: the view's own rows
}

// Changes returns the layers of changes that the tally of a view names, the newest first.
// If there is no bucket of them, the error matches ErrCorrupt.
func Changes(tx *pages.Tx, view View, t Tally) ([]Layer, error) {
	if t.changes == 0 {
		return nil, nil
	}
	b := ChangesBucket(tx, view)
	if b == nil {
		return nil, fmt.Errorf("%w: view %q: the latest changes of its rows are missing", eventstore.ErrCorrupt, view.ID)
	}
	layers := make([]Layer, 0, t.changes+1)
	for number := t.newest; number > t.newest-uint64(t.changes); number-- {
		layers = append(layers, Layer{View: view, Bucket: b, Number: binary.BigEndian.AppendUint64(nil, number)})
	}
	return layers, nil
}

// ChangesBucket returns the bucket of a view's layers of changes, or nil if it has none.
func ChangesBucket(tx *pages.Tx, view View) *pages.Tree {
	b := tx.Bucket(logfile.ChangesBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view.ID))
}

// makeChanges returns the bucket of a view's layers of changes and creates it if needed.
func makeChanges(tx *pages.WriteTx, view View) (*pages.WriteBucket, error) {
	b, err := tx.Root().CreateBucketIfNotExists(logfile.ChangesBucket)
	if err != nil {
		return nil, err
	}
	return b.CreateBucketIfNotExists([]byte(view.ID))
}

// dropChanges deletes all layers of changes of a view.
func dropChanges(tx *pages.WriteTx, view View) error {
	changes := tx.Bucket(logfile.ChangesBucket)
	if changes == nil || changes.Bucket([]byte(view.ID)) == nil {
		return nil
	}
	return changes.DeleteBucket([]byte(view.ID))
}

// Entry is a layer's entry for a row. It shares no memory with the file.
type Entry struct {
	Key    []byte // of the row, without the number of the layer
	Sealed []byte // the whole value in the file, with its checksum
	Value  []byte // of the row, a part of Sealed; nil: the row was deleted
}

// Open parses a copy of what the layer has under a key of its bucket, which it checks. The
// error matches ErrCorrupt.
func (l *Layer) Open(key, sealed []byte) (Entry, error) {
	own := append(append(make([]byte, 0, len(key)+len(sealed)), key...), sealed...)
	key, sealed = own[:len(key):len(key)], own[len(key):]
	if err := checkRow(l.View, key, sealed); err != nil {
		return Entry{}, err
	}
	value := sealed[: len(sealed)-logfile.ChecksumSize : len(sealed)-logfile.ChecksumSize]
	if l.Number == nil {
		return Entry{key, sealed, value}, nil
	}
	switch key = key[len(l.Number):]; {
	case len(value) == 0:
		return Entry{key, sealed, nil}, nil
	case value[0] != changePut:
		return Entry{}, corruptRow(l.View, key, "it is not a change that this version of Yore knows")
	}
	return Entry{key, sealed, value[1:]}, nil
}

// rowFinder looks up rows in layers, the newest first.
type rowFinder struct {
	layers  []Layer
	cursors []*pages.Cursor
	key     []byte
}

func newRowFinder(layers []Layer) *rowFinder {
	f := &rowFinder{layers: layers, cursors: make([]*pages.Cursor, len(layers))}
	for i, l := range layers {
		if i > 0 && layers[i-1].Bucket == l.Bucket {
			f.cursors[i] = f.cursors[i-1]
		} else {
			f.cursors[i] = l.Bucket.Cursor()
		}
	}
	return f
}

// find returns a copy of the value of a row; nil if there is none.
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
			return e.Value, err
		}
	}
	return nil, nil
}

// change puts rows, or deletes those whose value is nil: as a layer, or into the view's
// own bucket.
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

// worthLayer reports whether to write the rows as a layer.
func (t *tallied) worthLayer(rows []eventstore.Row) bool {
	if t.tally.changes == maxChanges || t.tally.Rows/layerShare < uint64(len(rows)) {
		return false
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
	b.Fill(1) // keys come in order, and a layer never changes
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

// fold applies the layers of changes to the view's own bucket, and deletes them.
func (t *tallied) fold() error {
	layers, err := Changes(t.tx.Before, t.view, t.tally)
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
