package projection

import (
	"context"
	"errors"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// Tx is what a handler writes by: see [Table.In]. It is for the goroutine that
// the handler runs on, and until the handler returns.
type Tx struct {
	ctx  context.Context
	p    *Projection
	rows *eventRows
}

// Context returns the context of the run, or of the view's time if it is attached.
func (tx Tx) Context() context.Context { return tx.ctx }

// eventRows are the rows as a handler sees them. It keeps the first error of
// reading, which is the store's: an event must not pass for applied, or for one
// that cannot be, because the store could not be read.
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

// isCallersFault reports whether an error of reading is due to what was asked for.
func isCallersFault(err error) bool {
	return errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrTooLarge)
}
