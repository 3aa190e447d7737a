package projection

import (
	"context"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// storedRows are the rows of a view as they were committed with a checkpoint. A writer
// reads them. If another writer has changed the view, a read fails with a
// *CheckpointError, so that a handler never sees rows of another checkpoint.
type storedRows struct {
	ctx   context.Context
	store eventstore.RowStore
	view  eventstore.ViewID
	at    eventstore.Checkpoint
}

func (s *storedRows) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	set, err := s.store.GetRows(s.ctx, s.view, keys...)
	if err == nil {
		err = s.check(set)
	}
	if err != nil {
		return nil, err
	}
	return set.Rows, nil
}

func (s *storedRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for page, err := range s.store.ScanRows(s.ctx, s.view, scan) {
			if err == nil {
				err = s.check(page)
			}
			if err != nil {
				yield(eventstore.Row{}, err)
				return
			}
			for _, row := range page.Rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

func (s *storedRows) check(set eventstore.RowSet) error {
	if set.Checkpoint.Equal(s.at) {
		return nil
	}
	return &eventstore.CheckpointError{View: s.view, Expected: s.at, Actual: set.Checkpoint}
}
