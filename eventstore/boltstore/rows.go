package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

var (
	rowsBucket        = []byte("rows")        // a bucket for each view: table, NUL, key -> value and checksum
	checkpointsBucket = []byte("checkpoints") // view -> checkpoint

	bucketsOfViews = []string{string(rowsBucket), string(changesBucket), string(checkpointsBucket)}
)

var _ eventstore.RowStore = (*Store)(nil)

// GetRows implements [eventstore.RowStore].
func (s *Store) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if err := s.usable(ctx); err != nil {
		return eventstore.RowSet{}, err
	}
	if err := s.info.Limits.ValidateView(view); err != nil {
		return eventstore.RowSet{}, err
	}
	for _, key := range keys {
		if err := s.info.Limits.ValidateRowKey(key); err != nil {
			return eventstore.RowSet{}, err
		}
	}
	var set eventstore.RowSet
	err := s.viewDurable(ctx, func(tx *bolt.Tx) (err error) {
		if set.Checkpoint, err = readCheckpoint(tx, view); err != nil {
			return err
		}
		set.Rows, err = getRows(tx, view, keys)
		return err
	})
	return set, err
}

// ScanRows implements [eventstore.RowStore].
func (s *Store) ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	scan.From, scan.To = bytes.Clone(scan.From), bytes.Clone(scan.To)
	return func(yield func(eventstore.RowSet, error) bool) {
		err := s.usable(ctx)
		if err == nil {
			err = s.validateScan(view, scan)
		}
		for pages := newRowPages(view, scan); err == nil && !pages.done; {
			if err = s.usable(ctx); err != nil {
				break
			}
			var set eventstore.RowSet
			err = s.viewDurable(ctx, func(tx *bolt.Tx) (err error) {
				if set.Checkpoint, err = readCheckpoint(tx, view); err == nil {
					set.Rows, err = pages.next(tx)
				}
				return err
			})
			if err == nil && !yield(set, nil) {
				return
			}
		}
		if err != nil {
			yield(eventstore.RowSet{}, err)
		}
	}
}

func (s *Store) validateScan(view eventstore.ViewID, scan eventstore.RowScan) error {
	if err := s.info.Limits.ValidateView(view); err != nil {
		return err
	}
	return s.info.Limits.ValidateRowScan(scan)
}

// Checkpoints implements [eventstore.RowStore].
func (s *Store) Checkpoints(ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	all := make(map[eventstore.ViewID]eventstore.Checkpoint)
	err := s.viewDurable(ctx, func(tx *bolt.Tx) error {
		return forEachCheckpoint(tx, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
			all[view] = c
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// viewDurable is view for what the writer may change in place: rows and
// checkpoints, which have no position by which to leave out what is not on disk
// yet. A transaction whose meta page is written but not synced is seen by
// readers already. So what was read is held back until the writer has said that
// the transaction it was read in is durable; that is at most one sync away.
func (s *Store) viewDurable(ctx context.Context, fn func(*bolt.Tx) error) error {
	if s.file.badRows != nil {
		return s.file.badRows
	}
	var seen int64
	err := s.view(func(tx *bolt.Tx) error {
		seen = int64(tx.ID())
		return fn(tx)
	})
	s.tail.waiting.Add(1)
	defer s.tail.waiting.Add(-1)
	for err == nil {
		last := s.tail.last()
		if s.durableTx.Load() >= seen {
			return nil
		}
		select {
		case <-last.ready:
		case <-s.failure:
			return fmt.Errorf("read rows: %w", eventstore.ErrFailed)
		case <-s.stopped:
			return eventstore.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func readCheckpoint(tx *bolt.Tx, view eventstore.ViewID) (eventstore.Checkpoint, error) {
	b := tx.Bucket(checkpointsBucket)
	if b == nil {
		return eventstore.Checkpoint{}, nil
	}
	sealed, err := lookUp(b.Cursor(), view, []byte(view), checkCheckpoint)
	if sealed == nil || err != nil {
		return eventstore.Checkpoint{}, err
	}
	return openCheckpoint(view, sealed)
}

// forEachCheckpoint visits all checkpoints, each with the error if it is damaged.
func forEachCheckpoint(tx *bolt.Tx, visit func(eventstore.ViewID, eventstore.Checkpoint, error) error) error {
	b := tx.Bucket(checkpointsBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(name, sealed []byte) error {
		view := eventstore.ViewID(name)
		c, err := openCheckpoint(view, sealed)
		return visit(view, c, err)
	})
}

// viewRows returns the bucket of a view's rows, or nil if it has none.
func viewRows(tx *bolt.Tx, view eventstore.ViewID) *bolt.Bucket {
	b := tx.Bucket(rowsBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view))
}

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

// storedRows are the rows of a view as they are on disk, for those who apply
// events while the writer waits, or before their view is attached.
type storedRows struct {
	store *Store
	view  eventstore.ViewID
}

func (r storedRows) Get(keys ...eventstore.RowKey) (rows []eventstore.Row, err error) {
	err = r.store.view(func(tx *bolt.Tx) (err error) {
		rows, err = getRows(tx, r.view, keys)
		return err
	})
	return rows, err
}

func (r storedRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for pages := newRowPages(r.view, scan); !pages.done; {
			var page []eventstore.Row
			err := r.store.view(func(tx *bolt.Tx) (err error) {
				page, err = pages.next(tx)
				return err
			})
			if err != nil {
				yield(eventstore.Row{}, err)
				return
			}
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
