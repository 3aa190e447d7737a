package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// keepingRows wraps rules so that they are skipped on a store without rows.
func keepingRows(rules ...rule) []rule {
	for i, r := range rules {
		rules[i].hold = func(h *harness) {
			if _, ok := h.store.(eventstore.RowStore); !ok {
				h.Skip("the store keeps no rows (it is no eventstore.RowStore)")
			}
			r.hold(h)
		}
	}
	return rules
}

// rows returns the store as a RowStore.
func (h *harness) rows() eventstore.RowStore { return h.store.(eventstore.RowStore) }

// row returns a row with a text.
func row(table, key, value string) eventstore.Row {
	return eventstore.Row{RowKey: rowKey(table, key), Value: []byte(value)}
}

func rowKey(table, key string) eventstore.RowKey {
	return eventstore.RowKey{Table: table, Key: []byte(key)}
}

// deleted returns a row that deletes.
func deleted(table, key string) eventstore.Row { return eventstore.Row{RowKey: rowKey(table, key)} }

// at returns a checkpoint at a position of the log, with some data at position 0.
func at(p eventstore.Position) eventstore.Checkpoint {
	return eventstore.Checkpoint{Position: p, Data: []byte("data")}
}

// tryRows commits rows. It may be called by any goroutine.
func (h *harness) tryRows(c eventstore.RowCommit) error {
	h.step("CommitRows of %d rows of view %q", len(c.Rows), c.View)
	return h.rows().CommitRows(h.ctx, c)
}

// commitRows commits rows, which must succeed.
func (h *harness) commitRows(c eventstore.RowCommit) {
	h.Helper()
	if err := h.tryRows(c); err != nil {
		h.Fatalf("CommitRows of view %q: expected success, found error: %v", c.View, err)
	}
}

// put commits rows and keeps the view's checkpoint.
func (h *harness) put(view eventstore.ViewID, rows ...eventstore.Row) {
	h.Helper()
	was := h.checkpoint(view)
	next := was
	next.Data = append([]byte("+"), was.Data...)
	h.commitRows(eventstore.RowCommit{View: view, Expected: was, Checkpoint: next, Rows: rows})
}

// unchanged commits rows. It must fail and change nothing of the view. It returns
// the error.
func (h *harness) unchanged(c eventstore.RowCommit, want error) error {
	h.Helper()
	checkpoint, before := h.checkpoint(c.View), h.scan(c.View, eventstore.RowScan{Table: "t"})
	err := h.tryRows(c)
	h.matches("CommitRows", err, want)
	h.sameCheckpoint("checkpoint after a failed CommitRows", checkpoint, h.checkpoint(c.View))
	h.sameRows("rows after a failed CommitRows", before, h.scan(c.View, eventstore.RowScan{Table: "t"}))
	return err
}

// get gets rows. It must succeed.
func (h *harness) get(view eventstore.ViewID, keys ...eventstore.RowKey) eventstore.RowSet {
	h.Helper()
	h.step("GetRows of %d rows of view %q", len(keys), view)
	set, err := h.rows().GetRows(h.ctx, view, keys...)
	if err != nil {
		h.Fatalf("GetRows of view %q: expected no error, found %v", view, err)
	}
	if len(set.Rows) != len(keys) {
		h.Fatalf("GetRows of %d keys: found %d rows", len(keys), len(set.Rows))
	}
	return set
}

// value returns the value of a row as text.
func (h *harness) value(view eventstore.ViewID, table, key string) string {
	h.Helper()
	return sayValue(h.get(view, rowKey(table, key)).Rows[0].Value)
}

func (h *harness) checkpoint(view eventstore.ViewID) eventstore.Checkpoint {
	h.Helper()
	return h.get(view).Checkpoint
}

func (h *harness) checkpoints() map[eventstore.ViewID]eventstore.Checkpoint {
	h.Helper()
	h.step("Checkpoints")
	all, err := h.rows().Checkpoints(h.ctx)
	if err != nil {
		h.Fatalf("Checkpoints: expected no error, found %v", err)
	}
	return all
}

// scan scans. It must succeed.
func (h *harness) scan(view eventstore.ViewID, scan eventstore.RowScan) []eventstore.Row {
	h.Helper()
	pages, err := h.tryScan(view, scan)
	if err != nil {
		h.Fatalf("ScanRows of view %q with %+v: expected no error, found %v", view, scan, err)
	}
	var rows []eventstore.Row
	for _, page := range pages {
		rows = append(rows, page.Rows...)
	}
	return rows
}

// tryScan scans to the end. It may be called by any goroutine.
func (h *harness) tryScan(view eventstore.ViewID, scan eventstore.RowScan) ([]eventstore.RowSet, error) {
	h.step("ScanRows of view %q with %+v", view, scan)
	return h.collectPages(h.rows().ScanRows(h.ctx, view, scan))
}

// collectPages ranges over a ScanRows and checks the form of the sequence.
func (h *harness) collectPages(seq iter.Seq2[eventstore.RowSet, error]) ([]eventstore.RowSet, error) {
	var pages []eventstore.RowSet
	var end error
	for page, err := range seq {
		h.step("ScanRows, after %d pages", len(pages))
		switch {
		case end != nil:
			return pages, fmt.Errorf("an element came after the error (%s)", end.Error())
		case err != nil && !reflect.DeepEqual(page, eventstore.RowSet{}):
			return pages, fmt.Errorf("an error came with a page of %d rows (%s)", len(page.Rows), err.Error())
		case err != nil:
			end = err
		default:
			pages = append(pages, page)
		}
	}
	if end == nil && len(pages) == 0 {
		return nil, errors.New("a scan yielded no page at all")
	}
	return pages, end
}

// dropAll drops a view completely.
func (h *harness) dropAll(view eventstore.ViewID, limit int) {
	h.Helper()
	for more := true; more; {
		h.step("DropRows of view %q, %d at a time", view, limit)
		var err error
		if more, err = h.rows().DropRows(h.ctx, view, limit); err != nil {
			h.Fatalf("DropRows of view %q: expected no error, found %v", view, err)
		}
	}
}

// sameRows fails the rule if found are not the expected rows in order.
func (h *harness) sameRows(what string, expected, found []eventstore.Row) {
	h.Helper()
	if difference := diffRows(expected, found); difference != "" {
		h.Fatalf("%s: %s", what, difference)
	}
}

// diffRows describes the first difference of two lists of rows; "" if there is none.
func diffRows(expected, found []eventstore.Row) string {
	for i := range min(len(expected), len(found)) {
		a, b := expected[i], found[i]
		if a.Table != b.Table || !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) || (a.Value == nil) != (b.Value == nil) {
			return fmt.Sprintf("row %d of %d: expected %s, found %s", i+1, len(expected), sayRow(a), sayRow(b))
		}
	}
	if len(expected) != len(found) {
		return fmt.Sprintf("expected %d rows, found %d: %.300s", len(expected), len(found), sayRows(found))
	}
	return ""
}

func (h *harness) sameCheckpoint(what string, expected, found eventstore.Checkpoint) {
	h.Helper()
	if !expected.Equal(found) {
		h.Fatalf("%s: expected %s, found %s", what, sayCheckpoint(expected), sayCheckpoint(found))
	}
}

func sayCheckpoint(c eventstore.Checkpoint) string {
	if c.Fault == nil {
		return fmt.Sprintf("{position %d, data %.40q}", c.Position, c.Data)
	}
	return fmt.Sprintf("{position %d, data %.40q, fault at position %d, type %q: %.100q}",
		c.Position, c.Data, c.Fault.Position, c.Fault.Type, c.Fault.Reason)
}

func sayRow(r eventstore.Row) string {
	return fmt.Sprintf("%s/%.40q=%.40s", r.Table, r.Key, sayValue(r.Value))
}

// sayValue formats a value so that nil and an empty one differ.
func sayValue(value []byte) string {
	if value == nil {
		return "none"
	}
	return fmt.Sprintf("%q", value)
}

func sayRows(rows []eventstore.Row) string {
	said := make([]string, len(rows))
	for i, r := range rows {
		said[i] = sayRow(r)
	}
	return strings.Join(said, ", ")
}

// notes collects what Apply notes for the rule.
type notes[T any] struct {
	mu    sync.Mutex
	taken []T
}

func (n *notes[T]) take(note T) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken = append(n.taken, note)
}

func (n *notes[T]) all() []T {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.taken)
}
