package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// The views, tables and keys that a run draws from.
var (
	modelViews  = []eventstore.ViewID{"v", "V"}
	modelTables = []string{"t", "T"}
	modelKeys   = []string{"\x00", "a", "a\x00", "aa", "b", "\xff", "\xff\xff"}
)

// inlineView is the view that is attached during a run.
const inlineView eventstore.ViewID = "inline"

// rowModel is the part of a run about rows, if both stores keep them.
type rowModel struct {
	subject, oracle eventstore.RowStore
	attached        bool
}

// keepsRows reports whether both stores keep rows.
func (m *model) keepsRows() bool {
	subject, ok := m.h.store.(eventstore.RowStore)
	oracle, too := m.oracle.(eventstore.RowStore)
	m.rows.subject, m.rows.oracle = subject, oracle
	return ok && too
}

func (m *model) rowStep() {
	switch n := m.rnd.IntN(100); {
	case n < 35:
		m.commitRows()
	case n < 55:
		m.getRows()
	case n < 85:
		for range 6 {
			m.scanRows()
		}
	case n < 88:
		m.compareCheckpoints()
	case n < 91:
		m.dropRows()
	default:
		m.attach()
	}
}

func (m *model) view() eventstore.ViewID {
	if m.chance(30) {
		return inlineView
	}
	return modelViews[m.rnd.IntN(len(modelViews))]
}

func (m *model) rowKey() eventstore.RowKey {
	return rowKey(modelTables[m.rnd.IntN(len(modelTables))], modelKeys[m.rnd.IntN(len(modelKeys))])
}

// is returns a view's checkpoint in the oracle.
func (m *model) is(view eventstore.ViewID) eventstore.Checkpoint {
	set, err := m.rows.oracle.GetRows(m.h.ctx, view)
	if err != nil {
		m.fail("the oracle: GetRows: %v", err)
	}
	return set.Checkpoint
}

func (m *model) commitRows() {
	c := eventstore.RowCommit{View: m.view(), Checkpoint: eventstore.Checkpoint{Position: m.position(), Data: fmt.Append(nil, m.rnd.IntN(3))}}
	if c.Expected = m.is(c.View); m.chance(30) {
		c.Expected.Data = fmt.Append(nil, m.rnd.IntN(3))
	}
	switch m.rnd.IntN(20) {
	case 0:
		c.Checkpoint = eventstore.Checkpoint{}
	case 1:
		c.Checkpoint.Fault = &eventstore.Fault{Type: "added", Reason: "told to"}
	case 2:
		c.Expected.Fault = nil
	}
	for range m.rnd.IntN(10) {
		r := eventstore.Row{RowKey: m.rowKey(), Value: fmt.Append(nil, m.rnd.IntN(1_000))}
		switch m.rnd.IntN(5) {
		case 0:
			r.Value = nil
		case 1:
			r.Value = []byte{}
		}
		c.Rows = append(c.Rows, r)
	}
	m.note("commit rows of view %q from %s to %s: %s", c.View, sayCheckpoint(c.Expected), sayCheckpoint(c.Checkpoint), sayRows(c.Rows))
	expected := m.rows.oracle.CommitRows(m.h.ctx, c)
	c.Expected, c.Checkpoint = m.checkpointToSubject(c.Expected), m.checkpointToSubject(c.Checkpoint)
	found := m.h.tryRows(c)
	m.sameError("CommitRows", expected, found)
	var wanted, conflict *eventstore.CheckpointError
	if errors.As(expected, &wanted) && (!errors.As(found, &conflict) || conflict.View != wanted.View || !m.checkpointToSubject(wanted.Actual).Equal(conflict.Actual)) {
		m.fail("CommitRows: expected the error %v, found %v", expected, found)
	}
}

func (m *model) getRows() {
	view := m.view()
	keys := make([]eventstore.RowKey, m.rnd.IntN(8))
	for i := range keys {
		keys[i] = m.rowKey()
	}
	m.note("get %d rows of view %q", len(keys), view)
	expected, err := m.rows.oracle.GetRows(m.h.ctx, view, keys...)
	if err != nil {
		m.fail("the oracle: GetRows: %v", err)
	}
	found, err := m.rows.subject.GetRows(m.h.ctx, view, keys...)
	if err != nil {
		m.fail("GetRows: expected no error, found %v", err)
	}
	m.samePage("GetRows", expected, found)
}

func (m *model) scanRows() {
	view, scan := m.view(), eventstore.RowScan{Table: m.rowKey().Table, Backward: m.chance(50)}
	if m.chance(40) {
		scan.From = m.rowKey().Key
	}
	if m.chance(40) {
		scan.To = m.rowKey().Key
	}
	if m.chance(40) {
		scan.Limit = 1 + m.rnd.IntN(3)
	}
	if m.chance(1) {
		scan.Limit = -1
	}
	m.note("scan view %q with %+v", view, scan)
	m.compareScan(view, scan)
}

func (m *model) compareScan(view eventstore.ViewID, scan eventstore.RowScan) {
	expected, wanted := m.h.collectPages(m.rows.oracle.ScanRows(m.h.ctx, view, scan))
	found, err := m.h.tryScan(view, scan)
	if m.sameError("ScanRows", wanted, err) {
		m.samePage("ScanRows", joined(expected), joined(found))
	}
}

// joined joins pages into one.
func joined(pages []eventstore.RowSet) eventstore.RowSet {
	all := eventstore.RowSet{Checkpoint: pages[0].Checkpoint}
	for _, page := range pages {
		all.Rows = append(all.Rows, page.Rows...)
	}
	return all
}

func (m *model) samePage(what string, expected, found eventstore.RowSet) {
	m.h.Helper()
	if difference := diffRows(expected.Rows, found.Rows); difference != "" {
		m.fail("%s: %s", what, difference)
	}
	if c := m.checkpointToSubject(expected.Checkpoint); !c.Equal(found.Checkpoint) {
		m.fail("%s: expected the checkpoint %s, found %s", what, sayCheckpoint(c), sayCheckpoint(found.Checkpoint))
	}
}

func (m *model) compareCheckpoints() {
	m.note("checkpoints")
	expected, err := m.rows.oracle.Checkpoints(m.h.ctx)
	if err != nil {
		m.fail("the oracle: Checkpoints: %v", err)
	}
	found, err := m.rows.subject.Checkpoints(m.h.ctx)
	if err != nil || len(found) != len(expected) {
		m.fail("Checkpoints: expected %d, found %d (%v)", len(expected), len(found), err)
	}
	for view, c := range expected {
		m.samePage("Checkpoints", eventstore.RowSet{Checkpoint: c}, eventstore.RowSet{Checkpoint: found[view]})
	}
}

// dropRows drops a view completely.
func (m *model) dropRows() {
	view, limit := m.view(), 1+m.rnd.IntN(10)
	m.note("drop view %q, %d rows at a time", view, limit)
	for _, s := range []eventstore.RowStore{m.rows.oracle, m.rows.subject} {
		for more, calls := true, 0; more; calls++ {
			var err error
			if more, err = s.DropRows(m.h.ctx, view, limit); err != nil || calls > 100 {
				m.fail("DropRows: expected that it comes to an end, found the error %v after %d calls", err, calls)
			}
		}
	}
	m.rows.attached = m.rows.attached && view != inlineView
}

// attach attaches the inline view to both stores, or expects that both refuse.
func (m *model) attach() {
	m.note("attach")
	expected := m.rows.oracle.Attach(m.h.ctx, modelInline())
	m.rows.attached = m.sameError("Attach", expected, m.h.tryAttach(modelInline())) || m.rows.attached
	m.compareScan(inlineView, eventstore.RowScan{Table: "t"})
}

// attachAgain attaches the inline view to a subject that was reopened.
func (m *model) attachAgain() {
	if !m.keepsRows() || !m.rows.attached {
		return
	}
	if err := m.h.tryAttach(modelInline()); err != nil {
		m.fail("Attach after reopening: expected no error, found %v", err)
	}
}

// finishRows compares all rows.
func (m *model) finishRows() {
	if !m.keepsRows() {
		return
	}
	m.compareCheckpoints()
	for _, view := range append(slices.Clone(modelViews), inlineView) {
		for _, table := range modelTables {
			m.compareScan(view, eventstore.RowScan{Table: table})
		}
	}
}

func (m *model) checkpointToSubject(c eventstore.Checkpoint) eventstore.Checkpoint {
	c.Position = m.toSubject(c.Position)
	return c
}

// modelInline counts events by type and stream, and keeps the last data of each
// stream. It keeps no positions, since the stores may differ in those.
func modelInline() eventstore.InlineView {
	q := eventstore.Match(eventstore.Item{Types: []string{"added", "placed"}}, eventstore.Item{Tags: []eventstore.Tag{"sku:1"}})
	return viewOf(inlineView, q, func(tx eventstore.RowTx, events []eventstore.Event) error {
		for _, e := range events {
			last := eventstore.Row{RowKey: rowKey("T", "last of "+string(e.Stream)), Value: e.Data}
			if e.Type == "noted" {
				last.Value = nil
			}
			if err := tx.Put(last); err != nil {
				return err
			}
			for _, key := range []eventstore.RowKey{rowKey("t", e.Type), rowKey("T", "events of "+string(e.Stream))} {
				rows, err := tx.Get(key)
				if err != nil {
					return err
				}
				var n int
				_, _ = fmt.Sscan(string(rows[0].Value), &n)
				if err := tx.Put(eventstore.Row{RowKey: key, Value: fmt.Append(nil, n+1)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
