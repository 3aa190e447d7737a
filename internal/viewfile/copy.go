package viewfile

import (
	"bytes"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
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
	view    View
	tally   Tally // as it is in the file
	counted Tally
	from    []byte // the key at which the next page begins; nil: at the first row
	done    bool
}

// NewCopier returns a Copier of a view that begins with the first page.
func NewCopier(view View) *Copier { return &Copier{view: view} }

// Done reports whether all rows have been read.
func (c *Copier) Done() bool { return c.done }

// Next returns copies of the rows of the next page. Damage matches ErrCorrupt.
func (c *Copier) Next(tx *pages.Tx) (page []SealedRow, err error) {
	c.done = true
	state, err := Load(tx, c.view)
	if len(state.layers) == 0 || err != nil {
		return nil, err
	}
	if c.from == nil {
		c.from, c.tally = FirstRow, state.tally
	}
	cursor := Cursor{From: c.from, Passed: func(e Entry) { c.counted.Add(e.Sealed) }}
	if err := cursor.Start(state.layers); err != nil {
		return nil, err
	}
	for n, size := 0, 0; n < logfile.PageEvents && size < logfile.PageBytes; n++ {
		e, err := cursor.Next()
		if e.Key == nil || err != nil {
			return page, err
		}
		c.from = append(bytes.Clone(e.Key), 0)
		if e.Value != nil {
			page = append(page, SealedRow{c.view.ID, e.Key, sealRow(c.view, e.Key, e.Value)})
		}
		size += len(e.Sealed)
	}
	c.done = false
	return page, nil
}

// Check compares the rows that were read with the view's tally. It is called when Done.
// Missing rows, and older ones that have come back, match ErrCorrupt.
func (c *Copier) Check() error {
	if !c.tally.Counts(c.counted) {
		return fmt.Errorf("%w: view %q: rows are missing or older ones have come back: there are %d, the tally counts %d",
			eventstore.ErrCorrupt, c.view.ID, c.counted.Rows, c.tally.Rows)
	}
	return nil
}

// Loader writes the rows of views into a new file of the store with a seed. It is not safe
// for concurrent use.
type Loader struct {
	Seed    record.Seed
	tallies map[eventstore.ViewID]*Tally
}

// PutCheckpoint writes the checkpoint of a view, before the view's rows. The buckets of
// views are created.
func (l *Loader) PutCheckpoint(tx *pages.WriteTx, view eventstore.ViewID, c eventstore.Checkpoint) error {
	if err := CreateBuckets(tx); err != nil {
		return err
	}
	return putCheckpoint(tx, Of(l.Seed, view), c, 0)
}

// Put writes rows; those of a view in the order of their keys. The buckets of views are
// created. A damaged row matches ErrCorrupt.
func (l *Loader) Put(tx *pages.WriteTx, rows []SealedRow) error {
	if len(rows) == 0 {
		return nil
	}
	if err := CreateBuckets(tx); err != nil {
		return err
	}
	for _, row := range rows {
		if err := checkRow(Of(l.Seed, row.View), row.Key, row.Sealed); err != nil {
			return err
		}
		bucket, err := tx.Bucket(logfile.RowsBucket).CreateBucketIfNotExists([]byte(row.View))
		if err != nil {
			return err
		}
		bucket.Fill(0.9) // in order now, but rows will come between later
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
func (l *Loader) Finish(tx *pages.WriteTx) error {
	for id, t := range l.tallies {
		view := Of(l.Seed, id)
		t.generation = uint64(tx.ID())
		if err := tx.Bucket(logfile.RowsBucket).Bucket([]byte(id)).Put(TallyKey, sealTally(view, *t)); err != nil {
			return err
		}
		c, _, err := findCheckpoint(tx.Before, view)
		if err == nil {
			err = putCheckpoint(tx, view, c, t.generation)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
