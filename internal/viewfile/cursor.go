package viewfile

import (
	"bytes"
	"encoding/binary"

	"github.com/yore-es/yore/internal/pages"
)

// Cursor walks over the entries of layers in a range of rows, in key order; of several
// entries of one row it returns the newest. It checks every entry that it passes, and the
// entries beside the ends of the range (see neighbours.go), so that it misses none.
//
// The caller sets the fields and calls Start before Next. A Cursor is valid until the
// transaction ends, and not safe for concurrent use.
type Cursor struct {
	From, to []byte // From ≤ key < to; to nil: no end
	backward bool
	layers   []layerCursor // the newest first
	// Passed, if not nil, is called with each entry of each layer, also those that newer
	// ones replace.
	Passed func(Entry)
}

// layerCursor is the place of a Cursor in one layer.
type layerCursor struct {
	Layer
	cursor   *pages.Cursor
	from, to []byte // the range, as keys of the layer's bucket
	at       Entry  // the next entry; its key is nil at the end of the range
}

// Start goes to the first row of the range, in the cursor's direction. layers are those
// that its layers or [Changes] has returned. Damage matches ErrCorrupt.
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
	if below || above { // of another layer, the tally, or beyond the range
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

// before reports whether the cursor reaches key a before key b.
func (c *Cursor) before(a, b []byte) bool {
	if c.backward {
		a, b = b, a
	}
	return bytes.Compare(a, b) < 0
}

// Next returns the newest entry of the next row that has any; its key is nil at the end of
// the range. Damage matches ErrCorrupt.
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
