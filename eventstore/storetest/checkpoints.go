package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

func checkpointRules() []rule {
	return keepingRows([]rule{
		{"the zero Checkpoint expects none", checkpointNone},
		{"a commit that expects another checkpoint changes nothing", checkpointUnexpected},
		{"every part of the checkpoint is compared", checkpointCompared},
		{"nil and empty data are the same", checkpointEmptyData},
		{"a *CheckpointError has the view, the expected checkpoint and the actual one", checkpointError},
		{"of many that expect the same exactly one succeeds", checkpointRace},
		{"counting by compare and set counts every one", checkpointCounting},
		{"a checkpoint at the head is taken, one beyond it is refused", checkpointBeyondHead},
		{"a checkpoint that would be zero is refused", checkpointZero},
		{"a fault is kept, and can be taken away", checkpointFault},
		{"an invalid commit is ErrInvalid, whatever the checkpoint", checkpointInvalidFirst},
		{"Checkpoints returns those of all views", checkpointsOfAll},
		{"the checkpoint of one view says nothing of another's", checkpointsApart},
		{"DropRows removes the checkpoint at once, and at most limit rows at a time", func(h *harness) { dropInSlices(h, 25) }},
		{"DropRows of exactly the last rows says that there are no more", func(h *harness) { dropInSlices(h, 20) }},
		{"a view that was dropped starts again", dropStartsAgain},
		{"a view that is dropped in part takes nothing until the rest is gone", dropInPart},
		{"dropping what is not there is no error", dropNothing},
		{"dropping less than one row is refused", dropLimit},
	}...)
}

func checkpointNone(h *harness) {
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "1")}})
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "2")}}, eventstore.ErrConflict)
	_ = h.unchanged(eventstore.RowCommit{View: "w", Expected: at(0), Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "2")}}, eventstore.ErrConflict)
	h.commitRows(eventstore.RowCommit{View: "v", Expected: at(0), Checkpoint: at(0), Rows: []eventstore.Row{row("t", "k", "3")}})
	h.equal("the row", `"3"`, h.value("v", "t", "k"))
}

func checkpointUnexpected(h *harness) {
	head := h.write(event("a", "x"), event("a", "x")).Last
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(head), Rows: []eventstore.Row{row("t", "a", "1"), row("t", "b", "1")}})
	rows := []eventstore.Row{row("t", "a", "2"), deleted("t", "b"), row("t", "c", "2")}
	for _, expected := range []eventstore.Checkpoint{{}, at(head - 1), at(head + 1), {Position: head}} {
		_ = h.unchanged(eventstore.RowCommit{View: "v", Expected: expected, Checkpoint: at(head - 1), Rows: rows}, eventstore.ErrConflict)
	}
}

func checkpointCompared(h *harness) {
	head := h.write(event("a", "x"), event("a", "x")).Last
	fault := func(p eventstore.Position, eventType, reason string) *eventstore.Fault {
		return &eventstore.Fault{Position: p, Type: eventType, Reason: reason}
	}
	data := []byte("data")
	is := eventstore.Checkpoint{Position: head - 1, Data: data, Fault: fault(head, "x", "why")}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: is})
	for _, other := range []eventstore.Checkpoint{
		{Position: head, Data: data, Fault: is.Fault},
		{Position: head - 1, Data: []byte("Data"), Fault: is.Fault},
		{Position: head - 1, Data: data[:3], Fault: is.Fault},
		{Position: head - 1, Fault: is.Fault},
		{Position: head - 1, Data: data},
		{Position: head - 1, Data: data, Fault: fault(head-1, "x", "why")},
		{Position: head - 1, Data: data, Fault: fault(head, "y", "why")},
		{Position: head - 1, Data: data, Fault: fault(head, "x", "why not")},
	} {
		_ = h.unchanged(eventstore.RowCommit{View: "v", Expected: other, Checkpoint: at(0)}, eventstore.ErrConflict)
	}
	is.Fault = fault(head, "x", "why")
	h.commitRows(eventstore.RowCommit{View: "v", Expected: is, Checkpoint: at(0)})
}

func checkpointEmptyData(h *harness) {
	head := h.write(event("a", "x")).Last
	some, none := eventstore.Checkpoint{Position: head, Data: []byte{}}, eventstore.Checkpoint{Position: head}
	empty := eventstore.Checkpoint{Data: []byte{}}
	h.commitRows(eventstore.RowCommit{View: "v", Expected: empty, Checkpoint: some})
	h.sameCheckpoint("checkpoint", none, h.checkpoint("v"))
	h.commitRows(eventstore.RowCommit{View: "v", Expected: none, Checkpoint: none})
	h.commitRows(eventstore.RowCommit{View: "v", Expected: some, Checkpoint: some})
}

func checkpointError(h *harness) {
	head := h.write(event("a", "x")).Last
	is := at(head)
	is.Fault = &eventstore.Fault{Position: head, Type: "x", Reason: "why"}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: is})
	for _, c := range []struct {
		view             eventstore.ViewID
		expected, actual eventstore.Checkpoint
	}{
		{"v", eventstore.Checkpoint{}, is},
		{"v", at(0), is},
		{"w", is, eventstore.Checkpoint{}},
	} {
		err := h.unchanged(eventstore.RowCommit{View: c.view, Expected: c.expected, Checkpoint: at(0)}, eventstore.ErrConflict)
		var conflict *eventstore.CheckpointError
		if !errors.As(err, &conflict) {
			h.Fatalf("CommitRows with another checkpoint: expected a *CheckpointError, found %T: %v", err, err)
		}
		h.equal("View", c.view, conflict.View)
		h.sameCheckpoint("Expected", c.expected, conflict.Expected)
		h.sameCheckpoint("Actual", c.actual, conflict.Actual)
	}
}

func checkpointRace(h *harness) {
	const writers = 8
	was := eventstore.Checkpoint{}
	for round := range 5 {
		var won, winner atomic.Int64
		h.parallel(writers, func(i int) error {
			next := eventstore.Checkpoint{Data: fmt.Appendf(nil, "%d of round %d", i, round)}
			rows := []eventstore.Row{row("t", "winner", fmt.Sprint(i)), row("t", fmt.Sprintf("%d %d", round, i), "x")}
			err := h.tryRows(eventstore.RowCommit{View: "v", Expected: was, Checkpoint: next, Rows: rows})
			if err == nil {
				won.Add(1)
				winner.Store(int64(i))
			} else if !errors.Is(err, eventstore.ErrConflict) {
				return fmt.Errorf("expected success or a conflict, found: %w", err)
			}
			return nil
		})
		h.equal("writers that succeeded", int64(1), won.Load())
		h.equal("the winner's row", fmt.Sprintf("%q", fmt.Sprint(winner.Load())), h.value("v", "t", "winner"))
		h.equal("rows", round+2, len(h.scan("v", eventstore.RowScan{Table: "t"})))
		was = h.checkpoint("v")
		h.equal("the winner's checkpoint", fmt.Sprintf("%d of round %d", winner.Load(), round), string(was.Data))
	}
}

func checkpointCounting(h *harness) {
	const writers, each = 4, 10
	h.parallel(writers, func(int) error {
		for done := 0; done < each; {
			set, err := h.rows().GetRows(h.ctx, "v", rowKey("t", "n"))
			if err != nil {
				return err
			}
			n := len(set.Rows[0].Value) + 1
			err = h.tryRows(eventstore.RowCommit{
				View: "v", Expected: set.Checkpoint, Checkpoint: eventstore.Checkpoint{Data: fmt.Append(nil, n)},
				Rows: []eventstore.Row{row("t", "n", strings.Repeat("|", n))},
			})
			switch {
			case err == nil:
				done++
			case !errors.Is(err, eventstore.ErrConflict):
				return err
			}
		}
		return nil
	})
	h.equal("counted", fmt.Sprintf("%q", strings.Repeat("|", writers*each)), h.value("v", "t", "n"))
}

func checkpointBeyondHead(h *harness) {
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(1), Rows: []eventstore.Row{row("t", "k", "x")}}, eventstore.ErrInvalid)
	head := h.write(event("a", "x"), event("a", "x")).Last
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(head + 1), Rows: []eventstore.Row{row("t", "k", "x")}}, eventstore.ErrInvalid)
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(head)})
	h.commitRows(eventstore.RowCommit{View: "v", Expected: at(head), Checkpoint: at(head - 1)})
	h.sameCheckpoint("checkpoint that went back", at(head-1), h.checkpoint("v"))
}

func checkpointZero(h *harness) {
	for _, zero := range []eventstore.Checkpoint{{}, {Data: []byte{}}} {
		_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: zero, Rows: []eventstore.Row{row("t", "k", "x")}}, eventstore.ErrInvalid)
	}
	h.put("v", row("t", "k", "x"))
	_ = h.unchanged(eventstore.RowCommit{View: "v", Expected: h.checkpoint("v")}, eventstore.ErrInvalid)
}

func checkpointFault(h *harness) {
	head := h.write(event("a", "x")).Last
	faulty := eventstore.Checkpoint{Fault: &eventstore.Fault{Position: head, Type: "x", Reason: strings.Repeat("y", 4<<10)}}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: faulty, Rows: []eventstore.Row{row("t", "k", "x")}})
	h.sameCheckpoint("checkpoint", faulty, h.checkpoint("v"))
	h.sameCheckpoint("of Checkpoints", faulty, h.checkpoints()["v"])
	h.commitRows(eventstore.RowCommit{View: "v", Expected: faulty, Checkpoint: at(head)})
	h.sameCheckpoint("checkpoint without the fault", at(head), h.checkpoint("v"))
}

func checkpointInvalidFirst(h *harness) {
	h.put("v", row("t", "k", "x"))
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row("", "k", "x")}}, eventstore.ErrInvalid)
	_ = h.unchanged(eventstore.RowCommit{View: "v"}, eventstore.ErrInvalid)
}

func checkpointsOfAll(h *harness) {
	head := h.write(event("a", "x"), event("a", "x")).Last
	expected := map[eventstore.ViewID]eventstore.Checkpoint{"a": at(head), "b": at(head - 1), "a b": {Data: []byte{0}}}
	for view, c := range expected {
		h.commitRows(eventstore.RowCommit{View: view, Checkpoint: c})
	}
	found := h.checkpoints()
	h.equal("number of checkpoints", len(expected), len(found))
	for view, c := range expected {
		h.sameCheckpoint(fmt.Sprintf("checkpoint of view %q", view), c, found[view])
	}
	h.dropAll("a b", 1)
	if found := h.checkpoints(); len(found) != 2 {
		h.Fatalf("Checkpoints after one of 3 views was dropped: expected 2, found %d", len(found))
	}
}

func checkpointsApart(h *harness) {
	h.parallel(4, func(i int) error {
		view := eventstore.ViewID(strings.Repeat("v", i+1))
		var was eventstore.Checkpoint
		for n := range 10 {
			next := eventstore.Checkpoint{Data: fmt.Append(nil, n)}
			err := h.tryRows(eventstore.RowCommit{View: view, Expected: was, Checkpoint: next, Rows: []eventstore.Row{row("t", fmt.Sprint(n), "x")}})
			if err != nil {
				return err
			}
			was = next
		}
		return nil
	})
	for i := range 4 {
		view := eventstore.ViewID(strings.Repeat("v", i+1))
		h.equal(fmt.Sprintf("rows of view %q", view), 10, len(h.scan(view, eventstore.RowScan{Table: "t"})))
	}
}

// dropInSlices drops a number of rows, 10 at a time.
func dropInSlices(h *harness, n int) {
	var rows []eventstore.Row
	for i := range n {
		rows = append(rows, row([]string{"t", "u", "w"}[i%3], fmt.Sprint(i), "x"))
	}
	h.put("v", rows...)
	h.put("w", rows...)
	count := func() (n int) {
		for _, table := range []string{"t", "u", "w"} {
			n += len(h.scan("v", eventstore.RowScan{Table: table}))
		}
		return n
	}
	calls := 0
	for more, left := true, n; more; calls++ {
		h.step("DropRows")
		var err error
		if more, err = h.rows().DropRows(h.ctx, "v", 10); err != nil {
			h.Fatalf("DropRows: expected no error, found %v", err)
		}
		now := count()
		h.equal("checkpoint after DropRows", eventstore.Checkpoint{}, h.checkpoint("v"))
		if left-now > 10 || left == now && more || (now > 0) != more || calls > 5 {
			h.Fatalf("DropRows of 10 of %d rows: %d are left, and it says more: %v", left, now, more)
		}
		left = now
		h.equal("number of checkpoints, also while rows are left", 1, len(h.checkpoints()))
	}
	h.equal("rows of the other view", (n+2)/3, len(h.scan("w", eventstore.RowScan{Table: "t"})))
}

func dropStartsAgain(h *harness) {
	head := h.write(event("a", "x")).Last
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(head), Rows: []eventstore.Row{row("t", "old", "x"), row("u", "old", "x")}})
	h.dropAll("v", 1)
	_ = h.unchanged(eventstore.RowCommit{View: "v", Expected: at(head), Checkpoint: at(head)}, eventstore.ErrConflict)
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(head), Rows: []eventstore.Row{row("t", "new", "x")}})
	h.sameRows("rows", []eventstore.Row{row("t", "new", "x")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	h.sameRows("rows of another table", nil, h.scan("v", eventstore.RowScan{Table: "u"}))
	h.sameCheckpoint("checkpoint", at(head), h.checkpoint("v"))
}

// dropInPart holds that a view that is dropped in part takes no rows: a view is the
// fold of the log up to its checkpoint, and one with rows of its past is not.
func dropInPart(h *harness) {
	head := h.write(event("a", "x")).Last
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(head), Rows: []eventstore.Row{row("t", "a", "x"), row("t", "b", "x")}})
	h.step("DropRows")
	if more, err := h.rows().DropRows(h.ctx, "v", 1); err != nil || !more {
		h.Fatalf("DropRows of 1 of 2 rows: expected that there is more, found %v (%v)", more, err)
	}
	_ = h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(head)}, eventstore.ErrInvalid)
	h.step("Attach of a view that is dropped in part")
	h.matches("Attach", h.rows().Attach(h.ctx, ledger("v", eventstore.All())), eventstore.ErrInvalid)
	h.dropAll("v", 1)
	h.attach(ledger("v", eventstore.All()))
}

func dropNothing(h *harness) {
	h.dropAll("v", 1)
	h.put("v", row("t", "k", "x"))
	for range 2 {
		h.dropAll("v", 100)
		h.equal("number of checkpoints", 0, len(h.checkpoints()))
	}
}

func dropLimit(h *harness) {
	h.put("v", row("t", "k", "x"))
	for _, limit := range []int{0, -1} {
		h.step("DropRows of %d rows", limit)
		_, err := h.rows().DropRows(h.ctx, "v", limit)
		h.matches("DropRows of less than one row", err, eventstore.ErrInvalid)
	}
	h.equal("the row", `"x"`, h.value("v", "t", "k"))
	h.equal("number of checkpoints", 1, len(h.checkpoints()))
}
