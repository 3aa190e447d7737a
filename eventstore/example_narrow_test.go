package eventstore_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// narrow is a store with lower limits than the store below it. It checks each call against
// the limits of its Info first, as every store does.
type narrow struct {
	eventstore.RowStore
	limits eventstore.Limits
}

func (s narrow) Info() eventstore.Info {
	info := s.RowStore.Info()
	info.Limits = s.limits
	return info
}

func (s narrow) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if err := s.limits.Validate(c); err != nil {
		return eventstore.Receipt{}, err
	}
	return s.RowStore.Append(ctx, c)
}

func (s narrow) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	if err := s.limits.ValidateRead(q, opts); err != nil {
		return func(yield func(eventstore.Event, error) bool) { yield(eventstore.Event{}, err) }
	}
	return s.RowStore.Read(ctx, q, opts)
}

func (s narrow) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	if err := s.limits.ValidateRowCommit(c); err != nil {
		return err
	}
	return s.RowStore.CommitRows(ctx, c)
}

func (s narrow) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	err := s.limits.ValidateView(view)
	for _, key := range keys {
		if err == nil {
			err = s.limits.ValidateRowKey(key)
		}
	}
	if err != nil {
		return eventstore.RowSet{}, err
	}
	return s.RowStore.GetRows(ctx, view, keys...)
}

func (s narrow) ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	err := s.limits.ValidateView(view)
	if err == nil {
		err = s.limits.ValidateRowScan(scan)
	}
	if err != nil {
		return func(yield func(eventstore.RowSet, error) bool) { yield(eventstore.RowSet{}, err) }
	}
	return s.RowStore.ScanRows(ctx, view, scan)
}

func (s narrow) Attach(ctx context.Context, v eventstore.InlineView) error {
	if err := s.limits.ValidateInlineView(v); err != nil {
		return err
	}
	apply := v.Apply
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		return apply(ctx, narrowTx{tx, s.limits}, events)
	}
	return s.RowStore.Attach(ctx, v)
}

// narrowTx is the RowTx of the views of a narrow store.
type narrowTx struct {
	eventstore.RowTx
	limits eventstore.Limits
}

func (tx narrowTx) Put(rows ...eventstore.Row) error {
	for _, row := range rows {
		if err := tx.limits.ValidateRow(row); err != nil {
			return err
		}
	}
	return tx.RowTx.Put(rows...)
}

// A store of your own checks its arguments with Limits: here, names have at most 10 bytes.
func ExampleLimits() {
	ctx := context.Background()
	limits := eventstore.StandardLimits()
	limits.NameBytes = 10
	store := narrow{memstore.New(nil), limits}
	defer store.Close()

	_, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "cart.opened"})
	fmt.Println(err)
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "opened"})
	fmt.Println(err)
	for _, err := range store.Read(ctx, eventstore.Stream("cart-12345678"), eventstore.ReadOptions{}) {
		fmt.Println(err)
	}
	_, err = store.GetRows(ctx, "totals-by-month")
	fmt.Println(err)
	fmt.Println(store.Info().Limits.NameBytes)
	// Output:
	// event 0: too large: 11 bytes of type, at most 10
	// <nil>
	// query item 0: too large: 13 bytes of stream, at most 10
	// too large: 15 bytes of view, at most 10
	// 10
}

// A program can check a commit before it sends it, such as one made from a form.
func ExampleValidate() {
	for _, stream := range []eventstore.StreamID{"cart-7", "-7"} {
		fmt.Println(eventstore.Validate(eventstore.Commit{
			Events: []eventstore.NewEvent{{Stream: stream, Type: "cart.opened"}},
			Expect: []eventstore.Expect{{Stream: stream, At: eventstore.NoStream}},
		}))
	}
	fmt.Println(eventstore.ValidateKey(""))
	fmt.Println(eventstore.ValidateRead(eventstore.Match(), eventstore.ReadOptions{}))
	// Output:
	// <nil>
	// event 0: invalid: stream "-7" starts with a dash, so its category is empty
	// invalid: key is empty
	// invalid: the zero Query names nothing; every event is eventstore.All()
}
