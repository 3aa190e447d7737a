package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// given attaches a view that notes the events of each Apply.
func (h *harness) given(q eventstore.Query) *notes[[]eventstore.Event] {
	h.Helper()
	var given notes[[]eventstore.Event]
	h.attach(viewOf("v", q, func(_ eventstore.RowTx, events []eventstore.Event) error {
		given.take(events)
		return nil
	}))
	return &given
}

// sameCommits holds that a view was given the matching events of the commits, one
// commit at a time.
func (h *harness) sameCommits(q eventstore.Query, commits, given [][]eventstore.Event) {
	h.Helper()
	var expected [][]eventstore.Event
	for _, commit := range commits {
		if events := matching(q, commit); len(events) > 0 {
			expected = append(expected, events)
		}
	}
	for i, events := range given[:min(len(given), len(expected))] {
		h.sameEvents(fmt.Sprintf("call %d of Apply", i+1), expected[i], events)
	}
	h.equal("calls of Apply", len(expected), len(given))
}

// someCommits appends commits of different kinds and returns their events.
func (h *harness) someCommits() [][]eventstore.Event {
	h.Helper()
	return [][]eventstore.Event{
		h.seed(rich(), event("", "y", "t")), h.seed(event("b", "other")), h.seed(event("a", "x"), event("b", "other"), event("", "y")),
		h.seed(event("a", "x")), h.seed(event("a", "y")), h.seed(event("b", "other"), event("c-1", "other"), event("c-1", "x")),
	}
}

func inlineCommits(h *harness) {
	q := eventstore.Match(eventstore.Item{Types: []string{"x", "y"}}, eventstore.Item{Streams: []eventstore.StreamID{rich().Stream}})
	given := h.given(q)
	h.sameCommits(q, h.someCommits(), given.all())
}

func inlineCommitsCatchingUp(h *harness) {
	q := eventstore.Match(eventstore.Item{Types: []string{"x", "y"}}, eventstore.Item{Streams: []eventstore.StreamID{rich().Stream}})
	commits := h.someCommits()
	given := h.given(q)
	h.sameCommits(q, commits, given.all())
}

func inlinePasses(h *harness) {
	h.attach(ledger("v", byType("x")))
	for range 3 {
		h.write(event("a", "other"))
		h.upToDate("v", byType("x"))
		h.write(event("a", "x"), event("a", "other"))
		h.upToDate("v", byType("x"))
	}
}

func inlineSeesWrites(h *harness) {
	const all = "1 2 3 4 5 6 7 8 "
	h.write(event("a", "x"), event("a", "x"))
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, events []eventstore.Event) error {
		for range events {
			n := 1
			said := ""
			for r, err := range tx.Scan(eventstore.RowScan{Table: "t"}) {
				if err != nil {
					return err
				}
				n++
				said += string(r.Key) + " "
			}
			if said != all[:2*(n-1)] {
				return fmt.Errorf("Scan before row %d: found %q", n, said)
			}
			for r, err := range tx.Scan(eventstore.RowScan{Table: "t", Backward: true, Limit: 1}) {
				if err != nil || string(r.Key) != fmt.Sprint(n-1) {
					return fmt.Errorf("the last row: expected %d, found %s (%w)", n-1, sayRow(r), err)
				}
			}
			if err := tx.Put(row("t", fmt.Sprint(n), fmt.Sprint(n))); err != nil {
				return err
			}
			rows, err := tx.Get(rowKey("t", fmt.Sprint(n)), rowKey("t", "1"), rowKey("t", "no"))
			if err != nil || string(rows[0].Value) != fmt.Sprint(n) || string(rows[1].Value) != "1" || rows[2].Value != nil {
				return fmt.Errorf("Get after Put of row %d: found %s (%w)", n, sayRows(rows), err)
			}
		}
		return nil
	}))
	h.write(event("a", "x"))
	h.write(event("a", "x"), event("a", "x"), event("a", "x"))
	h.parallel(2, func(int) error { _, err := h.try(unconditional(event("a", "x"))); return err })
	h.equal("checkpoint", eventstore.Checkpoint{Position: h.head()}, h.checkpoint("v"))
	h.equal("rows", 8, len(h.scan("v", eventstore.RowScan{Table: "t"})))
}

func inlineDeletes(h *harness) {
	h.put("v", row("t", "before", "x"), row("t", "empty", "x"))
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, _ []eventstore.Event) error {
		if err := tx.Put(deleted("t", "before"), row("t", "empty", ""), row("t", "own", "x"), row("t", "kept", "y")); err != nil {
			return err
		}
		if err := tx.Put(deleted("t", "own")); err != nil {
			return err
		}
		rows, err := tx.Get(rowKey("t", "before"), rowKey("t", "empty"), rowKey("t", "own"))
		if err != nil || rows[0].Value != nil || rows[1].Value == nil || rows[2].Value != nil {
			return fmt.Errorf("Get after deletions: found %s (%w)", sayRows(rows), err)
		}
		return nil
	}))
	h.write(event("a", "x"))
	h.sameRows("rows", []eventstore.Row{row("t", "empty", ""), row("t", "kept", "y")}, h.scan("v", eventstore.RowScan{Table: "t"}))
}

func inlineReadsStore(h *harness) {
	h.put("other", row("t", "k", "x"))
	first := h.write(event("a", "x"))
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, _ []eventstore.Event) error {
		log, err := h.tryRead(h.ctx, eventstore.All(), everything)
		if err != nil || len(log) == 0 || log[0].Position != first.First {
			return fmt.Errorf("Read in Apply: expected the log, found %d events (%w)", len(log), err)
		}
		set, err := h.rows().GetRows(h.ctx, "other", rowKey("t", "k"))
		if err != nil || string(set.Rows[0].Value) != "x" {
			return fmt.Errorf("GetRows in Apply: found %v (%w)", set, err)
		}
		if _, err := h.tryScan("v", eventstore.RowScan{Table: "t"}); err != nil {
			return err
		}
		if head, err := h.store.Head(h.ctx); err != nil || head < first.Last {
			return fmt.Errorf("Head in Apply: expected %d or more, found %d (%w)", first.Last, head, err)
		}
		return tx.Put(row("t", "done", "x"))
	}))
	head := h.write(event("a", "x")).Last
	h.equal("checkpoint", eventstore.Checkpoint{Position: head}, h.checkpoint("v"))
}

func inlineChangesStore(h *harness) {
	var faults notes[string]
	v := viewOf("v", eventstore.All(), nil)
	v.Timeout = 2 * time.Second
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if len(events) == 0 || events[0].Type != "x" {
			return errors.New("the store was changed")
		}
		check := func(what string, err error) {
			if !errors.Is(err, eventstore.ErrInvalid) {
				faults.take(fmt.Sprintf("%s: expected the error %q, found %v", what, eventstore.ErrInvalid, err))
			}
		}
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		_, err := h.store.Append(derived, unconditional(event("a", "by the view")))
		check("Append", err)
		check("CommitRows", h.rows().CommitRows(ctx, eventstore.RowCommit{View: "other", Checkpoint: eventstore.Checkpoint{Position: 1}}))
		_, err = h.rows().DropRows(ctx, "other", 1)
		check("DropRows", err)
		check("Attach", h.rows().Attach(ctx, ledger("other", eventstore.All())))
		return tx.Put(row("t", "done", "x"))
	}
	h.write(event("a", "x"))
	h.attach(v)
	head := h.write(event("a", "x")).Last
	for _, fault := range faults.all() {
		h.Fatalf("in Apply: %s", fault)
	}
	h.equal("checkpoint", eventstore.Checkpoint{Position: head}, h.checkpoint("v"))
	h.equal("events", 2, len(h.all()))
	h.equal("checkpoint of another view", eventstore.Checkpoint{}, h.checkpoint("other"))
}

func inlineChecked(h *harness) {
	limits := h.store.Info().Limits
	var faults notes[string]
	check := func(what string, err, want error) {
		if !errors.Is(err, want) {
			faults.take(fmt.Sprintf("%s: expected the error %q, found %v", what, want, err))
		}
	}
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, _ []eventstore.Event) error {
		check("Put without a table", tx.Put(row("", "k", "x")), eventstore.ErrInvalid)
		check("Put without a key", tx.Put(row("t", "", "x")), eventstore.ErrInvalid)
		check("Put of a value too large", tx.Put(row("t", "good", "x"), eventstore.Row{RowKey: rowKey("t", "k"), Value: make([]byte, limits.RowValueBytes+1)}), eventstore.ErrTooLarge)
		check("Put of a key too large", tx.Put(row("t", string(make([]byte, limits.RowKeyBytes+1)), "x")), eventstore.ErrTooLarge)
		_, err := tx.Get(rowKey("t", ""))
		check("Get without a key", err, eventstore.ErrInvalid)
		for _, err = range tx.Scan(eventstore.RowScan{Table: "t", Limit: -1}) {
			check("Scan with a negative Limit", err, eventstore.ErrInvalid)
		}
		return tx.Put(row("t", "done", "x"))
	}))
	h.write(event("a", "x"))
	for _, fault := range faults.all() {
		h.Fatalf("in Apply: %s", fault)
	}
	h.sameRows("rows", []eventstore.Row{row("t", "done", "x")}, h.scan("v", eventstore.RowScan{Table: "t"}))
}

func inlineOwn(h *harness) {
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, events []eventstore.Event) error {
		put := row("t", "k", "value")
		if err := tx.Put(put); err != nil {
			return err
		}
		put.Key[0], put.Value[0] = '!', '!'
		rows, err := tx.Get(rowKey("t", "k"))
		if err != nil || string(rows[0].Value) != "value" {
			return fmt.Errorf("Get: found %s (%w)", sayRows(rows), err)
		}
		rows[0].Key[0], rows[0].Value[0] = '!', '!'
		for _, e := range events {
			e.Data[0] = '!'
			e.Tags[0] = "!"
			e.Metadata["spoiled"] = "!"
		}
		return nil
	}))
	h.attach(ledger("w", eventstore.All()))
	e := rich()
	e.Data = []byte("data")
	log := h.seed(e)
	h.sameRows("rows", []eventstore.Row{row("t", "k", "value")}, h.scan("v", eventstore.RowScan{Table: "t"}))
	if stored := log[0]; string(stored.Data) != "data" || stored.Tags[0] == "!" || stored.Metadata["spoiled"] != "" {
		h.Fatalf("an event after a view changed its copy: found %s", describe(stored))
	}
	h.upToDate("w", eventstore.All())
}

func inlineAfterwards(h *harness) {
	var kept notes[eventstore.RowTx]
	h.write(event("a", "x"))
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, _ []eventstore.Event) error {
		kept.take(tx)
		return tx.Put(row("t", "k", "x"))
	}))
	h.write(event("a", "x"))
	h.equal("calls of Apply", 2, len(kept.all()))
	for _, tx := range kept.all() {
		h.ended(tx)
	}
	h.equal("the row", `"x"`, h.value("v", "t", "k"))
}

// ended holds that every method of a RowTx returns an error.
func (h *harness) ended(tx eventstore.RowTx) {
	h.Helper()
	h.step("using a RowTx afterwards")
	if err := tx.Put(row("t", "k", "afterwards")); err == nil {
		h.Fatalf("Put of a RowTx afterwards: expected an error, found none")
	}
	if _, err := tx.Get(rowKey("t", "k")); err == nil {
		h.Fatalf("Get of a RowTx afterwards: expected an error, found none")
	}
	for _, err := range tx.Scan(eventstore.RowScan{Table: "t"}) {
		if err == nil {
			h.Fatalf("Scan of a RowTx afterwards: expected an error, found a row")
		}
	}
}

func inlineDeadline(h *harness) {
	timeouts := []time.Duration{0, time.Hour}
	deadlines := make([]notes[time.Time], len(timeouts))
	for i, timeout := range timeouts {
		v := ledger(eventstore.ViewID(fmt.Sprint(timeout)), eventstore.All())
		v.Timeout = timeout
		v.Apply = func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error {
			deadline, _ := ctx.Deadline()
			deadlines[i].take(deadline)
			return nil
		}
		h.attach(v)
	}
	timeouts[0] = eventstore.DefaultTimeout
	before := time.Now()
	h.write(event("a", "x"))
	for i, timeout := range timeouts {
		noted := deadlines[i].all()
		h.equal("calls of Apply", 1, len(noted))
		if noted[0].Before(before) || noted[0].After(time.Now().Add(timeout)) {
			h.Fatalf("a view with %v for a commit: expected a context that ends by then, found one that ends %v after Append began", timeout, noted[0].Sub(before))
		}
	}
}
