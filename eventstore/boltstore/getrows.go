package boltstore

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

func getRows(tx *bolt.Tx, view eventstore.ViewID, keys []eventstore.RowKey) ([]eventstore.Row, error) {
	layers, err := layersOf(tx, view)
	if err != nil {
		return nil, err
	}
	rows, finder := make([]eventstore.Row, len(keys)), newRowFinder(layers)
	for i, k := range keys {
		rows[i].RowKey = eventstore.RowKey{Table: k.Table, Key: bytes.Clone(k.Key)}
		if rows[i].Value, err = finder.find(rowKey(k.Table, k.Key)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// rowPages goes over the rows of a scan, a page at a time.
type rowPages struct {
	view     eventstore.ViewID
	table    string
	from, to []byte // keys in the bucket: from ≤ key < to, narrowed page by page
	backward bool
	left     int // rows still to come, if limited
	limited  bool
	done     bool
}

func newRowPages(view eventstore.ViewID, scan eventstore.RowScan) *rowPages {
	p := &rowPages{
		view: view, table: scan.Table, backward: scan.Backward,
		from: rowKey(scan.Table, scan.From), to: rowKey(scan.Table, scan.To),
		left: scan.Limit, limited: scan.Limit > 0,
	}
	if len(scan.To) == 0 {
		p.to[len(p.to)-1] = 1 // after every key of the table: its NUL, plus one
	}
	return p
}

// next returns the next page.
func (p *rowPages) next(tx *bolt.Tx) ([]eventstore.Row, error) {
	layers, err := layersOf(tx, p.view)
	if err != nil {
		return nil, err
	}
	cursor := rowCursor{from: p.from, to: p.to, backward: p.backward}
	if err := cursor.start(layers); err != nil {
		return nil, err
	}
	var page []eventstore.Row
	for n, size := 0, 0; n < pageEvents && size < pageBytes; n++ {
		e, err := cursor.next()
		if err != nil {
			return nil, err
		}
		if e.key == nil {
			p.done = true
			return page, nil
		}
		p.pass(e.key)
		if e.value == nil {
			continue
		}
		page = append(page, eventstore.Row{
			RowKey: eventstore.RowKey{Table: p.table, Key: bytes.Clone(e.key[len(p.table)+1:])},
			Value:  append([]byte{}, e.value...),
		})
		size += len(e.value)
		if p.left--; p.limited && p.left == 0 {
			p.done = true
			return page, nil
		}
	}
	return page, nil
}

// pass narrows the scan to what comes after a key.
func (p *rowPages) pass(key []byte) {
	if p.backward {
		p.to = bytes.Clone(key)
	} else {
		p.from = append(bytes.Clone(key), 0)
	}
}
