package viewfile

import (
	"bytes"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// Get returns copies of the view's rows, one for each key and in that order. The value of an
// absent row is nil, that of an empty one is not. Damage, and an absence that is not
// proved, match ErrCorrupt.
func (s *State) Get(keys []eventstore.RowKey) (_ []eventstore.Row, err error) {
	rows, finder := make([]eventstore.Row, len(keys)), newRowFinder(s.layers)
	for i, k := range keys {
		rows[i].RowKey = eventstore.RowKey{Table: k.Table, Key: bytes.Clone(k.Key)}
		if rows[i].Value, err = finder.find(rowKey(k.Table, k.Key)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Scan reads the rows of a range page by page, each in a transaction of the caller's. It
// is not safe for concurrent use.
type Scan struct {
	table    string
	from, to []byte // keys in the bucket: from ≤ key < to, narrowed page by page
	backward bool
	left     int // rows still to return, if limited
	limited  bool
	Done     bool // there are no more pages
}

// NewScan returns a scan whose first page is read by the first call of Next. It keeps no
// memory of the arguments.
func NewScan(scan eventstore.RowScan) *Scan {
	p := &Scan{
		table: scan.Table, backward: scan.Backward,
		from: rowKey(scan.Table, scan.From), to: rowKey(scan.Table, scan.To),
		left: scan.Limit, limited: scan.Limit > 0,
	}
	if len(scan.To) == 0 {
		p.to[len(p.to)-1] = 1 // greater than every key of the table: its NUL plus one
	}
	return p
}

// Next returns copies of the next rows of a view's state: at most logfile.PageEvents, and about
// logfile.PageBytes of values. A page may be empty though more pages follow. Done must be
// false. Damage in the range and beside its ends matches ErrCorrupt.
func (p *Scan) Next(s *State) ([]eventstore.Row, error) {
	cursor := Cursor{From: p.from, to: p.to, backward: p.backward}
	if err := cursor.Start(s.layers); err != nil {
		return nil, err
	}
	var page []eventstore.Row
	for n, size := 0, 0; n < logfile.PageEvents && size < logfile.PageBytes; n++ {
		e, err := cursor.Next()
		if err != nil {
			return nil, err
		}
		if e.Key == nil {
			p.Done = true
			return page, nil
		}
		p.pass(e.Key)
		if e.Value == nil {
			continue
		}
		page = append(page, eventstore.Row{
			RowKey: eventstore.RowKey{Table: p.table, Key: e.Key[len(p.table)+1:]},
			Value:  e.Value,
		})
		size += len(e.Value)
		if p.left--; p.limited && p.left == 0 {
			p.Done = true
			return page, nil
		}
	}
	return page, nil
}

// pass narrows the scan to the keys after one.
func (p *Scan) pass(key []byte) {
	if p.backward {
		p.to = bytes.Clone(key)
	} else {
		p.from = append(bytes.Clone(key), 0)
	}
}
