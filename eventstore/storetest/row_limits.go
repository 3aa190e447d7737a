package storetest

import (
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

func rowLimitRules() []rule {
	return keepingRows([]rule{
		{"the limits of rows are the standard ones or less", rowLimitsKnown},
		{"a key and a value at the limit are kept, one byte more is too large", rowsSizeLimits},
		{"rows of a commit at the limit are kept, one more is too large", rowsCountLimit},
		{"bytes of a commit at the limit are kept, one more is too large", rowsBytesLimit},
		{"a checkpoint's data at the limit is kept, one byte more is too large", checkpointDataLimit},
	}...)
}

func rowLimitsKnown(h *harness) {
	own, standard := h.store.Info().Limits, eventstore.StandardLimits()
	for _, limit := range []struct {
		name          string
		own, standard int
	}{
		{"RowKeyBytes", own.RowKeyBytes, standard.RowKeyBytes},
		{"RowValueBytes", own.RowValueBytes, standard.RowValueBytes},
		{"RowsPerCommit", own.RowsPerCommit, standard.RowsPerCommit},
		{"CheckpointBytes", own.CheckpointBytes, standard.CheckpointBytes},
	} {
		if limit.own < 1 || limit.own > limit.standard {
			h.Errorf("%s: expected 1 to %d, found %d", limit.name, limit.standard, limit.own)
		}
	}
}

func rowsSizeLimits(h *harness) {
	limits := h.store.Info().Limits
	name := strings.Repeat("n", limits.NameBytes)
	full := eventstore.Row{RowKey: rowKey(name, string(pattern(limits.RowKeyBytes))), Value: pattern(limits.RowValueBytes)}
	view := eventstore.ViewID(name)
	h.put(view, full)
	h.sameRows("the largest row", []eventstore.Row{full}, h.get(view, full.RowKey).Rows)
	h.sameRows("the largest row", []eventstore.Row{full}, h.scan(view, eventstore.RowScan{Table: name, Backward: true}))
	tooLarge := func(row eventstore.Row) {
		h.Helper()
		h.isLimit(h.unchanged(eventstore.RowCommit{View: "v", Checkpoint: at(0), Rows: []eventstore.Row{row}}, eventstore.ErrTooLarge))
	}
	tooLarge(row("t", strings.Repeat("k", limits.RowKeyBytes+1), "x"))
	tooLarge(row("t", "k", strings.Repeat("x", limits.RowValueBytes+1)))
	tooLarge(row(name+"n", "k", "x"))
	for _, call := range rowCalls() {
		if call.name != "Checkpoints" {
			h.step("%s of a view with a long name", call.name)
			h.isLimit(call.do(h, h.ctx, view+"n"))
		}
	}
}

func rowsCountLimit(h *harness) {
	limit := h.store.Info().Limits.RowsPerCommit
	rows := make([]eventstore.Row, limit+1)
	for i := range rows {
		rows[i] = row("t", fmt.Sprintf("%09d", i), "x")
	}
	h.put("v", rows[:limit]...)
	found := h.scan("v", eventstore.RowScan{Table: "t"})
	h.equal("number of rows", limit, len(found))
	h.sameRows("the last of them", rows[limit-1:limit], found[limit-1:])
	h.isLimit(h.unchanged(eventstore.RowCommit{View: "w", Checkpoint: at(0), Rows: rows}, eventstore.ErrTooLarge))
}

func rowsBytesLimit(h *harness) {
	limits := h.store.Info().Limits
	full := pattern(limits.RowValueBytes)
	var rows []eventstore.Row
	for rest := limits.CommitBytes; rest > 1; {
		r := row("t", string(rune('a'+len(rows))), "")
		r.Value = full[:min(rest-1, len(full))]
		rest -= 1 + len(r.Value)
		if len(rows) == 26 {
			h.Skip("the store's limits are such that one commit takes at most 26 full rows")
		}
		rows = append(rows, r)
	}
	h.put("v", rows...)
	h.sameRows("rows", rows[1:2], h.get("v", rows[1].RowKey).Rows)
	rows[0].Key = []byte("aa")
	h.isLimit(h.unchanged(eventstore.RowCommit{View: "w", Checkpoint: at(0), Rows: rows}, eventstore.ErrTooLarge))
}

func checkpointDataLimit(h *harness) {
	full := eventstore.Checkpoint{Data: pattern(h.store.Info().Limits.CheckpointBytes)}
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: full})
	h.sameCheckpoint("the largest checkpoint", full, h.checkpoint("v"))
	larger := eventstore.Checkpoint{Data: append(pattern(len(full.Data)), 0)}
	h.isLimit(h.unchanged(eventstore.RowCommit{View: "v", Expected: full, Checkpoint: larger}, eventstore.ErrTooLarge))
}
