package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

func rowRules() []rule {
	rules := []rule{
		{"a view that is not there has no rows and no checkpoint", rowsOfNothing},
		{"GetRows returns a row for each key, in the order of the keys", rowsInOrderOfKeys},
		{"a row that is put again changes", rowsChange},
		{"a row put with a nil value is deleted", rowsDeleted},
		{"an empty value is a value", rowsEmptyValue},
		{"keys and values are kept byte for byte", rowsBytes},
		{"of two rows with the same key the later one counts", rowsLaterCounts},
		{"the tables of a view do not mix", rowsOfTables},
		{"the rows of two views do not mix", rowsOfViews},
		{"table and key are not run together", rowsNotJoined},
		{"the rows of a page and their checkpoint are as of one moment", rowsOfOneMoment},
		{"rows and checkpoint that are returned are the caller's own", rowsReturned},
		{"rows and checkpoint that are passed in are copied", rowsPassedIn},
		{"rows are not events: reads and follows do not show them", rowsNoEvents},
		{"invalid names and keys are refused", rowsRefused},
		{"an ended context ends every call with its error", rowsEndedContext},
		{"reopening shows rows and checkpoints", rowsReopened},
		{"read-only mode reads rows and refuses to change them", rowsReadOnly},
	}
	for _, call := range rowCalls() {
		rules = append(rules, rule{"after Close " + call.name + " is ErrClosed", func(h *harness) {
			h.put("v", row("t", "k", "x"))
			h.closeStore()
			h.step("%s after Close", call.name)
			h.matches(call.name+" after Close", call.do(h, h.ctx, "v"), eventstore.ErrClosed)
		}})
	}
	return keepingRows(rules...)
}

// rowCall is a call of a RowStore that can succeed.
type rowCall struct {
	name   string
	writes bool
	do     func(h *harness, ctx context.Context, view eventstore.ViewID) error
}

func rowCalls() []rowCall {
	return []rowCall{
		{"GetRows", false, func(h *harness, ctx context.Context, view eventstore.ViewID) error {
			_, err := h.rows().GetRows(ctx, view, rowKey("t", "k"))
			return err
		}},
		{"ScanRows", false, func(h *harness, ctx context.Context, view eventstore.ViewID) error {
			_, err := h.collectPages(h.rows().ScanRows(ctx, view, eventstore.RowScan{Table: "t"}))
			return err
		}},
		{"Checkpoints", false, func(h *harness, ctx context.Context, _ eventstore.ViewID) error {
			_, err := h.rows().Checkpoints(ctx)
			return err
		}},
		{"CommitRows", true, func(h *harness, ctx context.Context, view eventstore.ViewID) error {
			return h.rows().CommitRows(ctx, eventstore.RowCommit{View: view, Expected: at(0), Checkpoint: at(0)})
		}},
		{"DropRows", true, func(h *harness, ctx context.Context, view eventstore.ViewID) error {
			_, err := h.rows().DropRows(ctx, view, 1)
			return err
		}},
		{"Attach", true, func(h *harness, ctx context.Context, view eventstore.ViewID) error {
			return h.rows().Attach(ctx, ledger(view, eventstore.All()))
		}},
	}
}

func rowsOfNothing(h *harness) {
	for range 2 {
		set := h.get("v", rowKey("t", "a"), rowKey("t", "b"))
		h.sameRows("rows of no view", []eventstore.Row{deleted("t", "a"), deleted("t", "b")}, set.Rows)
		h.equal("checkpoint of no view", eventstore.Checkpoint{}, set.Checkpoint)
		h.equal("checkpoint without keys", eventstore.Checkpoint{}, h.checkpoint("v"))
		h.sameRows("scan of no view", nil, h.scan("v", eventstore.RowScan{Table: "t"}))
		h.equal("number of checkpoints", 0, len(h.checkpoints()))
		h.write(event("a", "x"))
	}
}

func rowsInOrderOfKeys(h *harness) {
	h.put("v", row("t", "a", "1"), row("t", "b", "2"), row("u", "a", "3"), row("t", "c", "4"))
	set := h.get("v", rowKey("t", "c"), rowKey("t", "no"), rowKey("u", "a"), rowKey("t", "a"), rowKey("t", "c"), rowKey("u", "b"))
	h.sameRows("rows", []eventstore.Row{
		row("t", "c", "4"), deleted("t", "no"), row("u", "a", "3"), row("t", "a", "1"), row("t", "c", "4"), deleted("u", "b"),
	}, set.Rows)
}

func rowsChange(h *harness) {
	h.put("v", row("t", "a", "long and"), row("t", "b", "2"))
	h.put("v", row("t", "a", "short"))
	h.equal("the row put again", `"short"`, h.value("v", "t", "a"))
	h.equal("the other row", `"2"`, h.value("v", "t", "b"))
	h.put("v")
	h.equal("the row after a commit without rows", `"short"`, h.value("v", "t", "a"))
}

func rowsDeleted(h *harness) {
	h.put("v", row("t", "a", "1"), row("t", "b", "2"), row("t", "c", "3"))
	h.put("v", deleted("t", "b"), deleted("t", "never there"))
	h.equal("the deleted row", "none", h.value("v", "t", "b"))
	h.sameRows("what is left", []eventstore.Row{row("t", "a", "1"), row("t", "c", "3")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	h.put("v", row("t", "b", "again"))
	h.equal("the row put after it was deleted", `"again"`, h.value("v", "t", "b"))
}

func rowsEmptyValue(h *harness) {
	h.put("v", row("t", "a", ""), row("t", "b", "2"))
	h.equal("an empty value", `""`, h.value("v", "t", "a"))
	h.sameRows("scan", []eventstore.Row{row("t", "a", ""), row("t", "b", "2")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	h.put("v", row("t", "b", ""))
	h.equal("a value that became empty", `""`, h.value("v", "t", "b"))
}

func rowsBytes(h *harness) {
	var rows []eventstore.Row
	for i := range 256 {
		rows = append(rows, row("t", string([]byte{byte(i)}), string([]byte{0, byte(i), 0xff})))
		rows = append(rows, row("t", string([]byte{byte(i), 0}), string(pattern(i))))
	}
	h.put("v", rows...)
	h.sameRows("scan", rows, h.scan("v", eventstore.RowScan{Table: "t"}))
	for _, r := range rows {
		h.sameRows("get", []eventstore.Row{r}, h.get("v", r.RowKey).Rows)
	}
}

func rowsLaterCounts(h *harness) {
	h.put("v", row("t", "a", "0"), row("t", "b", "0"))
	h.put("v", row("t", "a", "1"), row("t", "b", "1"), row("t", "c", "1"), deleted("t", "d"),
		row("t", "a", "2"), deleted("t", "b"), deleted("t", "c"), row("t", "d", "2"))
	h.sameRows("rows", []eventstore.Row{row("t", "a", "2"), row("t", "d", "2")}, h.scan("v", eventstore.RowScan{Table: "t"}))
}

func rowsOfTables(h *harness) {
	var rows []eventstore.Row
	for i, name := range difficult(h) {
		rows = append(rows, row(name, "k", fmt.Sprint(i)))
	}
	h.put("v", rows...)
	for _, r := range rows {
		h.sameRows(fmt.Sprintf("table %q", r.Table), []eventstore.Row{r}, h.scan("v", eventstore.RowScan{Table: r.Table}))
		h.sameRows(fmt.Sprintf("table %q backward", r.Table), []eventstore.Row{r}, h.scan("v", eventstore.RowScan{Table: r.Table, Backward: true}))
		h.sameRows("get", []eventstore.Row{r}, h.get("v", r.RowKey).Rows)
	}
	h.put("v", deleted(rows[0].Table, "k"))
	h.sameRows("another table after a deletion", rows[1:2], h.scan("v", eventstore.RowScan{Table: rows[1].Table}))
}

func rowsOfViews(h *harness) {
	names := difficult(h)
	for i, name := range names {
		h.put(eventstore.ViewID(name), row("t", "k", fmt.Sprint(i)))
	}
	for i, name := range names {
		h.sameRows(fmt.Sprintf("view %q", name), []eventstore.Row{row("t", "k", fmt.Sprint(i))}, h.scan(eventstore.ViewID(name), eventstore.RowScan{Table: "t"}))
	}
	h.equal("number of checkpoints", len(names), len(h.checkpoints()))
	h.dropAll(eventstore.ViewID(names[0]), 10)
	for i, name := range names[1:] {
		h.equal(fmt.Sprintf("view %q after another was dropped", name), fmt.Sprintf("%q", fmt.Sprint(i+1)), h.value(eventstore.ViewID(name), "t", "k"))
	}
}

func rowsNotJoined(h *harness) {
	h.put("v", row("a", "bc", "1"), row("ab", "c", "2"), row("a", "b", "3"), row("ab", "\x00c", "4"), row("a", "\x00", "5"))
	h.put("va", row("b", "c", "6"))
	h.sameRows("table a", []eventstore.Row{row("a", "\x00", "5"), row("a", "b", "3"), row("a", "bc", "1")}, h.scan("v", eventstore.RowScan{Table: "a"}))
	h.sameRows("table ab", []eventstore.Row{row("ab", "\x00c", "4"), row("ab", "c", "2")}, h.scan("v", eventstore.RowScan{Table: "ab"}))
	h.sameRows("no table", nil, h.scan("v", eventstore.RowScan{Table: "abc"}))
	h.equal("no row", "none", h.value("v", "abc", "c"))
}

// rowsOfOneMoment has a writer that writes its checkpoint's position into every row.
func rowsOfOneMoment(h *harness) {
	keys := make([]eventstore.RowKey, 40)
	for i := range keys {
		keys[i] = rowKey("t", fmt.Sprintf("%03d", i))
	}
	scan := eventstore.RowScan{Table: "t"}
	var reading atomic.Int32
	reading.Store(2)
	h.parallel(3, func(reader int) error {
		switch reader {
		case 0:
			return h.writeMoments(keys, &reading)
		case 1:
			defer reading.Add(-1)
			for range 40 {
				set, err := h.rows().GetRows(h.ctx, "v", keys...)
				if err != nil {
					return err
				}
				if err := oneMoment("GetRows", set); err != nil {
					return err
				}
			}
		default:
			defer reading.Add(-1)
			for i := range 40 {
				scan.Backward = i%2 == 0
				pages, err := h.tryScan("v", scan)
				if err != nil {
					return err
				}
				for _, page := range pages {
					if err := oneMoment("a page of ScanRows", page); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// writeMoments commits as long as a reader is reading.
func (h *harness) writeMoments(keys []eventstore.RowKey, reading *atomic.Int32) error {
	var was eventstore.Checkpoint
	for reading.Load() > 0 {
		receipt, err := h.try(unconditional(event("", "x")))
		if err != nil {
			return err
		}
		next := eventstore.Checkpoint{Position: receipt.Last}
		c := eventstore.RowCommit{View: "v", Expected: was, Checkpoint: next}
		for _, key := range keys {
			c.Rows = append(c.Rows, eventstore.Row{RowKey: key, Value: fmt.Append(nil, receipt.Last)})
		}
		if err := h.tryRows(c); err != nil {
			return err
		}
		was = next
	}
	return nil
}

// oneMoment reports a set with a row that does not have its checkpoint's position.
func oneMoment(what string, set eventstore.RowSet) error {
	position := fmt.Sprint(set.Checkpoint.Position)
	for _, r := range set.Rows {
		if found := string(r.Value); found != position && (r.Value != nil || position != "0") {
			return fmt.Errorf("%s: the checkpoint is at position %s, and row %s is of another moment", what, position, sayRow(r))
		}
	}
	return nil
}

func rowsReturned(h *harness) {
	head := h.write(event("a", "x")).Last
	was := at(head)
	was.Fault = &eventstore.Fault{Position: head, Type: "x", Reason: "why"}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: was, Rows: []eventstore.Row{row("t", "k", "value")}})
	spoil := func(set eventstore.RowSet) {
		for _, r := range set.Rows {
			r.Key[0], r.Value[0] = '!', '!'
			_ = append(r.Key, "longer than there is room for"...)
			_ = append(r.Value, "longer than there is room for"...)
		}
		set.Checkpoint.Data[0], set.Checkpoint.Fault.Reason = '!', "!"
	}
	for range 2 {
		set := h.get("v", rowKey("t", "k"))
		h.sameRows("GetRows", []eventstore.Row{row("t", "k", "value")}, set.Rows)
		h.sameCheckpoint("GetRows", was, set.Checkpoint)
		spoil(set)
		pages, err := h.tryScan("v", eventstore.RowScan{Table: "t"})
		if err != nil || len(pages) == 0 {
			h.Fatalf("ScanRows: expected a page, found %d (%v)", len(pages), err)
		}
		h.sameRows("ScanRows", []eventstore.Row{row("t", "k", "value")}, pages[0].Rows)
		h.sameCheckpoint("ScanRows", was, pages[0].Checkpoint)
		spoil(pages[0])
		all := h.checkpoints()
		h.sameCheckpoint("Checkpoints", was, all["v"])
		spoil(eventstore.RowSet{Checkpoint: all["v"]})
		delete(all, "v")
		var conflict *eventstore.CheckpointError
		if !errors.As(h.tryRows(eventstore.RowCommit{View: "v", Checkpoint: at(0)}), &conflict) {
			h.Fatalf("CommitRows with another checkpoint: expected a *CheckpointError")
		}
		h.sameCheckpoint("CheckpointError.Actual", was, conflict.Actual)
		spoil(eventstore.RowSet{Checkpoint: conflict.Actual})
	}
}

func rowsPassedIn(h *harness) {
	fault := &eventstore.Fault{Type: "x", Reason: "why"}
	c := eventstore.RowCommit{
		View:       "v",
		Checkpoint: eventstore.Checkpoint{Data: []byte("data"), Fault: fault},
		Rows:       []eventstore.Row{row("t", "k", "value"), row("t", "l", "value")},
	}
	h.commitRows(c)
	c.Checkpoint.Data[0], fault.Reason = '!', "!"
	c.Rows[0].Key[0], c.Rows[1].Value[0] = '!', '!'
	c.Rows[0], c.Rows[1] = deleted("t", "k"), deleted("t", "l")
	h.sameRows("rows", []eventstore.Row{row("t", "k", "value"), row("t", "l", "value")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	expected := eventstore.Checkpoint{Data: []byte("data"), Fault: &eventstore.Fault{Type: "x", Reason: "why"}}
	h.sameCheckpoint("checkpoint", expected, h.checkpoint("v"))

	scan := eventstore.RowScan{Table: "t", From: []byte("k"), To: []byte("l")}
	seq := h.rows().ScanRows(h.ctx, "v", scan)
	scan.From[0], scan.To[0] = 'x', 'z'
	pages, err := h.collectPages(seq)
	if err != nil {
		h.Fatalf("ScanRows: expected no error, found %v", err)
	}
	h.sameRows("a scan whose bounds were changed since", []eventstore.Row{row("t", "k", "value")}, pages[0].Rows)
}

func rowsNoEvents(h *harness) {
	head := h.write(event("a", "x")).Last
	f := h.follow(eventstore.All(), head)
	f.batch()
	for range 3 {
		h.put("v", row("t", "k", "x"))
	}
	h.dropAll("v", 1)
	h.equal("head after commits of rows", head, h.head())
	h.equal("events in the log", 1, len(h.all()))
	next := h.write(event("a", "x")).Last
	if b := f.batch(); len(b.Events) != 1 || b.Through != next {
		h.Fatalf("Follow after commits of rows: expected the event at position %d, found %d events through position %d", next, len(b.Events), b.Through)
	}
}

func rowsRefused(h *harness) {
	refused := func(what string, err error) {
		h.Helper()
		h.matches(what, err, eventstore.ErrInvalid)
	}
	for _, name := range []string{"", "a\x00b", "\x00", "a\xffb", "\xed\xa0\x80"} {
		for _, call := range rowCalls() {
			if call.name != "Checkpoints" {
				h.step("%s of view %q", call.name, name)
				refused(fmt.Sprintf("%s of view %q", call.name, name), call.do(h, h.ctx, eventstore.ViewID(name)))
			}
		}
		_, err := h.rows().GetRows(h.ctx, "v", rowKey("t", "k"), rowKey(name, "k"))
		refused(fmt.Sprintf("GetRows of table %q", name), err)
		_, err = h.tryScan("v", eventstore.RowScan{Table: name})
		refused(fmt.Sprintf("ScanRows of table %q", name), err)
		_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "x"), row(name, "k", "x")}}, eventstore.ErrInvalid)
	}
	_, err := h.rows().GetRows(h.ctx, "v", rowKey("t", ""))
	refused("GetRows of an empty key", err)
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "x"), row("t", "", "x")}}, eventstore.ErrInvalid)
	h.equal("number of checkpoints", 0, len(h.checkpoints()))
}

func rowsEndedContext(h *harness) {
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	for _, call := range rowCalls() {
		h.step("%s with an ended context", call.name)
		h.matches(call.name, call.do(h, ctx, "v"), context.Canceled)
	}
	h.equal("number of checkpoints", 0, len(h.checkpoints()))
}

func rowsReopened(h *harness) {
	head := h.write(event("a", "x"), event("a", "x")).Last
	rows := []eventstore.Row{row("t", "a", "1"), row("t", "b", "")}
	checkpoint := eventstore.Checkpoint{Position: head - 1, Data: []byte("data"), Fault: &eventstore.Fault{Position: head, Type: "x", Reason: "why"}}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: checkpoint, Rows: rows})
	h.put("w", row("t", "a", "of w"))
	h.put("gone", row("t", "a", "x"))
	h.dropAll("gone", 10)
	for range 2 {
		h.reopen()
		h.sameRows("rows", rows, h.scan("v", eventstore.RowScan{Table: "t"}))
		h.sameCheckpoint("checkpoint", checkpoint, h.checkpoint("v"))
		h.equal("a row of the other view", `"of w"`, h.value("w", "t", "a"))
		h.equal("number of checkpoints", 2, len(h.checkpoints()))
	}
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(head)}, eventstore.ErrConflict)
	h.put("v", row("t", "a", "3"))
	h.equal("a row put after reopening", `"3"`, h.value("v", "t", "a"))
}

func rowsReadOnly(h *harness) {
	h.put("v", row("t", "k", "x"))
	h.reopenReadOnly()
	h.equal("a row", `"x"`, h.value("v", "t", "k"))
	h.sameRows("rows", []eventstore.Row{row("t", "k", "x")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	h.equal("number of checkpoints", 1, len(h.checkpoints()))
	for _, call := range rowCalls() {
		if call.writes {
			h.step("%s in read-only mode", call.name)
			h.matches(call.name+" in read-only mode", call.do(h, h.ctx, "v"), eventstore.ErrReadOnly)
		}
	}
}
