// Package fold is the read model that proofs keep beside their events. Its rows are a
// plain function of the log, so any view can be compared with it.
//
// It has a row for each event, which shows whether it was applied once; a row for
// each stream, which is read before it is written; and cells. An event changes enough
// cells that the store writes them as a layer over the view's rows.
package fold

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// The tables of the read model, in the order of their keys in the file.
const (
	Cells   = "cells"   // cell -> times changed, id of the last event; every fourth change deletes it
	Events  = "events"  // position -> times applied, id
	Streams = "streams" // stream -> events, last version
)

const (
	cells        = 64
	cellsAnEvent = 10
)

// Rows returns the read model of events, ordered by table and key.
func Rows(events []eventstore.Event) []eventstore.Row {
	m := memory{}
	if err := apply(m, events); err != nil {
		panic(err) // memory does not fail
	}
	rows := make([]eventstore.Row, 0, len(m))
	for _, row := range m {
		if row.Value != nil {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, compare)
	return rows
}

// Values returns the [Name] of each state that a row has had between two of the events.
func Values(events []eventstore.Event) map[string]bool {
	r := recorder{memory{}, make(map[string]bool)}
	if err := apply(r, events); err != nil {
		panic(err) // memory does not fail
	}
	return r.values
}

// Name returns a text that differs between rows that differ in table, key or value.
func Name(row eventstore.Row) string { return fmt.Sprintf("%s %x %x", row.Table, row.Key, row.Value) }

// Inline returns the read model as an inline view of all events.
func Inline(view eventstore.ViewID) eventstore.InlineView {
	return eventstore.InlineView{View: view, Query: eventstore.All(),
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return apply(tx, events)
		}}
}

// Commit applies the next events to an async view and commits its rows with the
// checkpoint through, if its checkpoint is at.
func Commit(ctx context.Context, s eventstore.RowStore, view eventstore.ViewID, at, through eventstore.Checkpoint, events []eventstore.Event) error {
	o := overlay{ctx: ctx, store: s, view: view, written: memory{}}
	if err := apply(o, events); err != nil {
		return err
	}
	c := eventstore.RowCommit{View: view, Expected: at, Checkpoint: through}
	for _, row := range o.written {
		c.Rows = append(c.Rows, row)
	}
	return s.CommitRows(ctx, c)
}

// Check compares a view with the read model of the events up to its checkpoint,
// which it returns. events are the log from position 1.
func Check(ctx context.Context, s eventstore.RowStore, view eventstore.ViewID, events []eventstore.Event) (eventstore.Checkpoint, error) {
	var at eventstore.Checkpoint
	var got []eventstore.Row
	for _, table := range []string{Cells, Events, Streams} {
		for page, err := range s.ScanRows(ctx, view, eventstore.RowScan{Table: table}) {
			if err != nil {
				return at, fmt.Errorf("scan view %q: %w", view, err)
			}
			at = page.Checkpoint
			got = append(got, page.Rows...)
		}
	}
	if int(at.Position) > len(events) {
		return at, fmt.Errorf("view %q is at position %d of a log of %d events", view, at.Position, len(events))
	}
	want := Rows(events[:at.Position])
	if len(got) != len(want) {
		return at, fmt.Errorf("view %q at position %d has %d rows, the log makes %d", view, at.Position, len(got), len(want))
	}
	for i, row := range got {
		if compare(row, want[i]) != 0 || !bytes.Equal(row.Value, want[i].Value) {
			return at, fmt.Errorf("view %q at position %d: row %s %q is %q, the log makes %s %q %q", view, at.Position,
				row.Table, row.Key, row.Value, want[i].Table, want[i].Key, want[i].Value)
		}
	}
	return at, nil
}

// access is how rows are read and written: in memory, inline, or async.
type access interface {
	Get(keys ...eventstore.RowKey) ([]eventstore.Row, error)
	Put(rows ...eventstore.Row) error
}

func apply(rows access, events []eventstore.Event) error {
	for i := range events {
		if err := applyOne(rows, &events[i]); err != nil {
			return err
		}
	}
	return nil
}

func applyOne(rows access, e *eventstore.Event) error {
	keys := []eventstore.RowKey{
		{Table: Events, Key: binary.BigEndian.AppendUint64(nil, uint64(e.Position))},
		{Table: Streams, Key: []byte("in " + string(e.Stream))},
	}
	for i := range cellsAnEvent {
		keys = append(keys, eventstore.RowKey{Table: Cells, Key: []byte{byte((int(e.Position)*5 + i*7) % cells)}})
	}
	before, err := rows.Get(keys...)
	if err != nil {
		return err
	}
	changes := make([]eventstore.Row, len(before))
	for i, row := range before {
		count := 0
		if row.Value != nil {
			if _, err := fmt.Sscan(string(row.Value), &count); err != nil {
				return fmt.Errorf("row %q holds %q: %w", row.Key, row.Value, err)
			}
		}
		count++
		changes[i].RowKey = keys[i]
		switch {
		case row.Table == Streams:
			changes[i].Value = fmt.Appendf(nil, "%d events, version %d", count, e.Version)
		case row.Table == Events || count%4 != 0:
			changes[i].Value = fmt.Appendf(nil, "%d %s", count, e.ID)
		}
	}
	return rows.Put(changes...)
}

func compare(a, b eventstore.Row) int {
	if c := bytes.Compare([]byte(a.Table), []byte(b.Table)); c != 0 {
		return c
	}
	return bytes.Compare(a.Key, b.Key)
}

// memory is rows by table and key; one without a value was deleted.
type memory map[string]eventstore.Row

func (m memory) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	rows := make([]eventstore.Row, len(keys))
	for i, key := range keys {
		rows[i] = eventstore.Row{RowKey: key, Value: m[name(key)].Value}
	}
	return rows, nil
}

func (m memory) Put(rows ...eventstore.Row) error {
	for _, row := range rows {
		m[name(row.RowKey)] = row
	}
	return nil
}

// recorder is rows in memory that notes all that they ever were.
type recorder struct {
	memory
	values map[string]bool
}

func (r recorder) Put(rows ...eventstore.Row) error {
	for _, row := range rows {
		r.values[Name(row)] = true
	}
	return r.memory.Put(rows...)
}

func name(key eventstore.RowKey) string { return key.Table + "\x00" + string(key.Key) }

// overlay is a stored view's rows with the rows written since.
type overlay struct {
	ctx     context.Context
	store   eventstore.RowStore
	view    eventstore.ViewID
	written memory
}

func (o overlay) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	set, err := o.store.GetRows(o.ctx, o.view, keys...)
	if err != nil {
		return nil, err
	}
	for i, row := range set.Rows {
		if written, ok := o.written[name(row.RowKey)]; ok {
			set.Rows[i].Value = written.Value
		}
	}
	return set.Rows, nil
}

func (o overlay) Put(rows ...eventstore.Row) error { return o.written.Put(rows...) }
