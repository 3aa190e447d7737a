package projection

import (
	"context"
	"errors"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// Tx is the access of a handler to the tables: see [Table.In]. It is valid on the
// handler's goroutine until the handler returns.
type Tx struct {
	ctx  context.Context
	p    *Projection
	rows *eventRows
}

// Context returns the context of the run. That of an attached projection ends with its
// Timeout.
func (tx Tx) Context() context.Context { return tx.ctx }

// eventRows are the rows that a handler sees. It keeps the first error of the store, so
// that an event does not count as applied, or as one that cannot be applied, when a read
// has failed and the handler has ignored that.
type eventRows struct {
	rows eventstore.RowTx
	err  error
}

func (r *eventRows) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	rows, err := r.rows.Get(keys...)
	return rows, r.keep(err)
}

func (r *eventRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for row, err := range r.rows.Scan(scan) {
			if !yield(row, r.keep(err)) {
				return
			}
		}
	}
}

func (r *eventRows) Put(rows ...eventstore.Row) error { return r.rows.Put(rows...) }

func (r *eventRows) keep(err error) error {
	if r.err == nil && err != nil && !isCallersFault(err) {
		r.err = err
	}
	return err
}

// isCallersFault reports whether a read failed because of its arguments.
func isCallersFault(err error) bool {
	return errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrTooLarge)
}
