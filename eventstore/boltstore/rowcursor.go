package boltstore

import (
	"bytes"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

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
	edge := l.from
	if c.backward {
		edge = l.to
	}
	if _, err := lookUp(l.cursor, in.view, edge, checkRow); err != nil {
		return err
	}
	return c.load(l, c.seek)
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
			return errMisplaced(l.view, key)
		}
		return checkRow(l.view, key, sealed)
	}
	e, err := l.open(key, sealed)
	if err == nil && before != nil && !c.before(before, e.key) {
		err = errMisplaced(l.view, key)
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
