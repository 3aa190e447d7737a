package viewfile

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// SealedRow is a row as it is in its view's own bucket.
type SealedRow struct {
	View        eventstore.ViewID
	Key, Sealed []byte
}

// Size returns how many bytes the row has.
func (r *SealedRow) Size() int { return len(r.Key) + len(r.Sealed) }

// Copier reads the rows of a view in pages, in the order of their keys, without the layers
// of changes: each row has its newest value. It is not safe for concurrent use.
type Copier struct {
	view    eventstore.ViewID
	tally   Tally // as it is in the file
	tallied bool  // whether the file has one
	counted Tally
	from    []byte // the key at which the next page begins; nil: at the first row
	done    bool
}

// NewCopier returns a Copier of a view that begins with the first page.
func NewCopier(view eventstore.ViewID) *Copier { return &Copier{view: view} }

// Done reports whether all rows have been read.
func (c *Copier) Done() bool { return c.done }

// Next returns copies of the rows of the next page. Damage matches ErrCorrupt.
func (c *Copier) Next(tx *bolt.Tx) (page []SealedRow, err error) {
	c.done = true
	layers, err := layersOf(tx, c.view)
	if len(layers) == 0 || err != nil {
		return nil, err
	}
	if c.from == nil {
		c.from = FirstRow
		if c.tally, c.tallied, err = readTally(tx, Rows(tx, c.view), c.view); err != nil {
			return nil, err
		}
	}
	cursor := Cursor{From: c.from, Passed: func(e Entry) { c.counted.Add(e.Sealed) }}
	if err := cursor.Start(layers); err != nil {
		return nil, err
	}
	for n, size := 0, 0; n < logfile.PageEvents && size < logfile.PageBytes; n++ {
		e, err := cursor.Next()
		if e.Key == nil || err != nil {
			return page, err
		}
		c.from = append(bytes.Clone(e.Key), 0)
		if e.Value != nil {
			key := bytes.Clone(e.Key)
			page = append(page, SealedRow{c.view, key, sealRow(c.view, key, e.Value)})
		}
		size += len(e.Sealed)
	}
	c.done = false
	return page, nil
}

// Check compares the rows that were read with the view's tally, if it has one. It is
// called when Done. Missing rows, and older ones that have come back, match ErrCorrupt.
func (c *Copier) Check() error {
	if c.tallied && !c.tally.Counts(c.counted) {
		return fmt.Errorf("%w: view %q: rows are missing or older ones have come back: there are %d, the tally counts %d",
			eventstore.ErrCorrupt, c.view, c.counted.Rows, c.tally.Rows)
	}
	return nil
}

// Loader writes the rows of views into a new file. The zero Loader is ready for use. It is
// not safe for concurrent use.
type Loader struct{ tallies map[eventstore.ViewID]*Tally }

// Put writes rows; those of a view in the order of their keys. The buckets of views are
// created. A damaged row matches ErrCorrupt.
func (l *Loader) Put(tx *bolt.Tx, rows []SealedRow) error {
	if len(rows) == 0 {
		return nil
	}
	if err := CreateBuckets(tx); err != nil {
		return err
	}
	for _, row := range rows {
		if err := checkRow(row.View, row.Key, row.Sealed); err != nil {
			return err
		}
		bucket, err := tx.Bucket(logfile.RowsBucket).CreateBucketIfNotExists([]byte(row.View))
		if err != nil {
			return err
		}
		bucket.FillPercent = 0.9 // in order now, but rows will come between later
		if err := bucket.Put(row.Key, row.Sealed); err != nil {
			return err
		}
		l.count(row)
	}
	return nil
}

func (l *Loader) count(row SealedRow) {
	if l.tallies == nil {
		l.tallies = make(map[eventstore.ViewID]*Tally)
	}
	if l.tallies[row.View] == nil {
		l.tallies[row.View] = new(Tally)
	}
	l.tallies[row.View].Add(row.Sealed)
}

// Finish writes the tallies, after the last row.
func (l *Loader) Finish(tx *bolt.Tx) error {
	for view, t := range l.tallies {
		if err := Rows(tx, view).Put(TallyKey, sealTally(view, *t)); err != nil {
			return err
		}
	}
	return nil
}
