package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/viewfile"
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
	err := s.readDurable(ctx, func(tx *bolt.Tx) (err error) {
		if set.Checkpoint, err = viewfile.ReadCheckpoint(tx, view); err != nil {
			return err
		}
		set.Rows, err = viewfile.Get(tx, view, keys)
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
		for pages := viewfile.NewScan(view, scan); err == nil && !pages.Done; {
			if err = s.usable(ctx); err != nil {
				break
			}
			var set eventstore.RowSet
			err = s.readDurable(ctx, func(tx *bolt.Tx) (err error) {
				if set.Checkpoint, err = viewfile.ReadCheckpoint(tx, view); err == nil {
					set.Rows, err = pages.Next(tx)
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
	err := s.readDurable(ctx, func(tx *bolt.Tx) error {
		return viewfile.ForEachCheckpoint(tx, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
			all[view] = c
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// readDurable is readTx for rows and checkpoints, which the writer changes in place. Readers
// already see a transaction whose meta page is written but not synced, and rows have no
// position by which to leave it out, as events have. So readDurable returns only when the
// transaction that it has read is durable, at most one sync later.
func (s *Store) readDurable(ctx context.Context, fn func(*bolt.Tx) error) error {
	if s.file.BadRows != nil {
		return s.file.BadRows
	}
	var seen int64
	err := s.readTx(func(tx *bolt.Tx) error {
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
		case <-s.writer.stopped:
			return eventstore.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// storedRows reads the rows of a view on disk, without waiting as readDurable does. It is
// used while the writer waits for a view, and before the view is attached.
type storedRows struct {
	store *Store
	view  eventstore.ViewID
}

func (r storedRows) Get(keys ...eventstore.RowKey) (rows []eventstore.Row, err error) {
	err = r.store.readTx(func(tx *bolt.Tx) (err error) {
		rows, err = viewfile.Get(tx, r.view, keys)
		return err
	})
	return rows, err
}

func (r storedRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for pages := viewfile.NewScan(r.view, scan); !pages.Done; {
			var page []eventstore.Row
			err := r.store.readTx(func(tx *bolt.Tx) (err error) {
				page, err = pages.Next(tx)
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
