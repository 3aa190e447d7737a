package projection

import (
	"bytes"
	"context"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// storedRows are the rows of a view as they were committed with a checkpoint:
// the base of a batch. It keeps what it has read until the next commit. If
// another writer has changed the view, reading is a *CheckpointError, so that no
// handler ever sees the rows of another checkpoint than its own.
type storedRows struct {
	ctx   context.Context
	store eventstore.RowStore
	view  eventstore.ViewID
	at    eventstore.Checkpoint

	kept  map[string][]byte // values by table, NUL and key; nil for no row
	bytes int               // of the values
}

// keepBytes bounds the values that are kept, in bytes.
const keepBytes = 16 << 20

func (s *storedRows) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	rows := make([]eventstore.Row, len(keys))
	var unread []eventstore.RowKey
	var places []int // of the unread ones
	for i, key := range keys {
		value, ok := s.kept[place(key)]
		rows[i] = eventstore.Row{RowKey: key, Value: bytes.Clone(value)}
		if !ok {
			unread, places = append(unread, key), append(places, i)
		}
	}
	if len(unread) == 0 {
		return rows, nil
	}
	set, err := s.store.GetRows(s.ctx, s.view, unread...)
	if err == nil {
		err = s.check(set)
	}
	if err != nil {
		return nil, err
	}
	for i, row := range set.Rows {
		rows[places[i]] = row
		s.keep(row)
	}
	return rows, nil
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

func (s *storedRows) keep(row eventstore.Row) {
	if s.bytes+len(row.Value) > keepBytes {
		return
	}
	s.bytes += len(row.Value)
	s.kept[place(row.RowKey)] = bytes.Clone(row.Value)
}

func place(key eventstore.RowKey) string { return key.Table + "\x00" + string(key.Key) }
