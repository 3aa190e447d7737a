package viewfile

import (
	"bytes"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// Cursor goes over what layers say of the rows of a range, in order. Also of what
// it passes, and of what is behind the range's ends, it sees that it is whole: so
// there is nothing between.
type Cursor struct {
	From, to []byte // from ≤ key < to; to nil: no end
	backward bool
	layers   []layerCursor // the newest first
	Passed   func(Entry)   // if it is set, told of each entry of each layer
}

// layerCursor is where a Cursor is in one layer.
type layerCursor struct {
	Layer
	cursor   *bolt.Cursor
	from, to []byte // the range, as keys of the layer's bucket
	at       Entry  // with a nil key behind the last of the range
}

// Start goes to the range's first row, in the direction of the cursor.
func (c *Cursor) Start(layers []Layer) error {
	c.layers = make([]layerCursor, len(layers))
	for i := range layers {
		if err := c.startIn(&c.layers[i], layers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cursor) startIn(l *layerCursor, in Layer) error {
	*l = layerCursor{Layer: in, cursor: in.Bucket.Cursor(), from: c.From, to: c.to}
	if in.Number != nil {
		l.from = append(bytes.Clone(in.Number), c.From...)
		l.to = append(bytes.Clone(in.Number), c.to...)
		if c.to == nil {
			l.to = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(in.Number)+1)
		}
	}
	edge := l.from
	if c.backward {
		edge = l.to
	}
	if _, err := lookUp(l.cursor, in.View, edge, checkRow); err != nil {
		return err
	}
	return c.load(l, c.seek)
}

func (c *Cursor) seek(l *layerCursor) (key, sealed []byte) {
	if !c.backward {
		return l.cursor.Seek(l.from)
	}
	if key, _ = l.cursor.Seek(l.to); key == nil {
		return l.cursor.Last()
	}
	return l.cursor.Prev()
}

func (c *Cursor) step(l *layerCursor) (key, sealed []byte) {
	if c.backward {
		return l.cursor.Prev()
	}
	return l.cursor.Next()
}

// load moves a layer's cursor to its next entry.
func (c *Cursor) load(l *layerCursor, move func(*layerCursor) (key, sealed []byte)) error {
	before := l.at.Key
	l.at = Entry{}
	key, sealed := move(l)
	if key == nil {
		return nil
	}
	below, above := bytes.Compare(key, l.from) < 0, l.to != nil && bytes.Compare(key, l.to) >= 0
	if below || above { // of another layer, the tally, or behind the end
		if c.backward != below {
			return errMisplaced(l.View, key)
		}
		return checkRow(l.View, key, sealed)
	}
	e, err := l.Open(key, sealed)
	if err == nil && before != nil && !c.before(before, e.Key) {
		err = errMisplaced(l.View, key)
	}
	if err == nil {
		l.at = e
	}
	return err
}

// before reports whether the cursor comes to one key before another.
func (c *Cursor) before(a, b []byte) bool {
	if c.backward {
		a, b = b, a
	}
	return bytes.Compare(a, b) < 0
}

// Next returns what is said of the next row of which anything is; its key is nil at
// the end of the range.
func (c *Cursor) Next() (Entry, error) {
	var newest Entry
	for i := range c.layers {
		if at := c.layers[i].at; at.Key != nil && (newest.Key == nil || c.before(at.Key, newest.Key)) {
			newest = at
		}
	}
	if newest.Key == nil {
		return Entry{}, nil
	}
	for i := range c.layers {
		l := &c.layers[i]
		if l.at.Key == nil || !bytes.Equal(l.at.Key, newest.Key) {
			continue
		}
		if c.Passed != nil {
			c.Passed(l.at)
		}
		if err := c.load(l, c.step); err != nil {
			return Entry{}, err
		}
	}
	return newest, nil
}
