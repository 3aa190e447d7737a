package boltstore

import (
	"bytes"
	"context"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
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
	set := eventstore.RowSet{Late: s.views.late.of(view)}
	err := s.reader.readDurable(ctx, func(tx *pages.Tx) error {
		state, err := viewfile.Load(tx, viewfile.Of(s.seed, view))
		if err != nil {
			return err
		}
		set.Checkpoint = state.Checkpoint
		set.Rows, err = state.Get(keys)
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
		for rest := viewfile.NewScan(scan); err == nil && !rest.Done; {
			if err = s.usable(ctx); err != nil {
				break
			}
			set := eventstore.RowSet{Late: s.views.late.of(view)}
			err = s.reader.readDurable(ctx, func(tx *pages.Tx) error {
				state, err := viewfile.Load(tx, viewfile.Of(s.seed, view))
				if err == nil {
					set.Checkpoint = state.Checkpoint
					set.Rows, err = rest.Next(&state)
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
	err := s.reader.readDurable(ctx, func(tx *pages.Tx) error {
		return viewfile.ForEachCheckpoint(tx, s.seed, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
			all[view] = c
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// storedRows reads the rows of a view on disk, without waiting as readDurable does. It is
// used while the writer waits for a view, and before the view is attached.
type storedRows struct {
	*disk
	view eventstore.ViewID
}

func (r storedRows) Get(keys ...eventstore.RowKey) (rows []eventstore.Row, err error) {
	err = r.readTx(func(tx *pages.Tx) error {
		state, err := viewfile.Load(tx, viewfile.Of(r.seed, r.view))
		if err == nil {
			rows, err = state.Get(keys)
		}
		return err
	})
	return rows, err
}

func (r storedRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for rest := viewfile.NewScan(scan); !rest.Done; {
			var page []eventstore.Row
			err := r.readTx(func(tx *pages.Tx) error {
				state, err := viewfile.Load(tx, viewfile.Of(r.seed, r.view))
				if err == nil {
					page, err = rest.Next(&state)
				}
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
