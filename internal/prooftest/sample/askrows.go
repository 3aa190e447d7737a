package sample

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// askRows makes all calls that read rows and checkpoints.
func (q *asker) askRows() {
	for i := range q.sample.Views {
		q.view(&q.sample.Views[i])
	}
	q.call("Checkpoints", q.checkpoints)
}

func (q *asker) view(v *View) {
	for i, table := range []string{fold.Events, fold.Streams, fold.Cells, "none"} {
		q.scan(v, eventstore.RowScan{Table: table, Backward: i%2 == 1})
		q.scan(v, eventstore.RowScan{Table: table, Backward: i%2 == 0, Limit: 7})
	}
	var some []eventstore.Row
	var keys []eventstore.RowKey
	for i := 0; i < len(v.Rows); i += 7 {
		some, keys = append(some, v.Rows[i]), append(keys, v.Rows[i].RowKey)
	}
	q.call(fmt.Sprintf("GetRows of view %q", v.ID), func(ctx context.Context) Answer {
		set, err := q.store.GetRows(ctx, v.ID, keys...)
		if err != nil && set.Checkpoint.IsZero() { // it says nothing
			set.Checkpoint = v.Checkpoint
		}
		present := slices.DeleteFunc(set.Rows, func(r eventstore.Row) bool { return r.Value == nil })
		return q.rows(v, some, present, set.Checkpoint, err)
	})
}

func (q *asker) scan(v *View, scan eventstore.RowScan) {
	var want []eventstore.Row
	for _, row := range v.Rows {
		if row.Table == scan.Table {
			want = append(want, row)
		}
	}
	if scan.Backward {
		slices.Reverse(want)
	}
	if scan.Limit > 0 {
		want = want[:min(scan.Limit, len(want))]
	}
	q.call(fmt.Sprintf("ScanRows of view %q, table %q, backward %v, limit %d", v.ID, scan.Table, scan.Backward, scan.Limit),
		func(ctx context.Context) Answer {
			var got []eventstore.Row
			at := v.Checkpoint
			for page, err := range q.store.ScanRows(ctx, v.ID, scan) {
				if err != nil {
					return q.rows(v, want, got, v.Checkpoint, err)
				}
				got, at = append(got, page.Rows...), page.Checkpoint
			}
			return q.rows(v, want, got, at, nil)
		})
}

// rows compares rows, and their checkpoint, with the right ones.
func (q *asker) rows(v *View, want, got []eventstore.Row, at eventstore.Checkpoint, err error) Answer {
	a := Answer{part: rows, view: v.ID, Verdict: Right, Want: fmt.Sprintf("%d rows, checkpoint %v", len(want), v.Checkpoint)}
	missing, next := 0, 0
	for _, row := range got {
		i := slices.IndexFunc(want[next:], func(w eventstore.Row) bool { return w.Table == row.Table && bytes.Equal(w.Key, row.Key) })
		if i >= 0 && bytes.Equal(want[next+i].Value, row.Value) {
			missing, next = missing+i, next+i+1
			continue
		}
		a.Verdict, a.Got = Stale, fmt.Sprintf("row %q of table %q with value %q", row.Key, row.Table, row.Value)
		if !q.sample.was(row) {
			a.Verdict = Wrong
			return a
		}
	}
	if err == nil {
		missing += len(want) - next
	}
	switch {
	case !at.Equal(v.Checkpoint) && !earlier(at, v.Checkpoint):
		a.Verdict, a.Got = Wrong, fmt.Sprintf("checkpoint %v", at)
	case a.Verdict == Stale:
	case !at.Equal(v.Checkpoint):
		a.Verdict, a.Got = Stale, fmt.Sprintf("checkpoint %v", at)
	case missing > 0:
		a.Verdict, a.Got = Partial, fmt.Sprintf("%d rows missing, error %v", missing, err)
	case err != nil:
		a = refused(err, a.Want)
		a.part, a.view = rows, v.ID
	}
	return a
}

// earlier reports whether a view may have been at one checkpoint before it was at
// another. It had none before the first one, and has none after it was dropped.
func earlier(at, than eventstore.Checkpoint) bool {
	return at.IsZero() || than.IsZero() || at.Position < than.Position || at.Position == than.Position && at.Fault == nil && than.Fault != nil
}

// checkpoints judges the checkpoints of all views.
func (q *asker) checkpoints(ctx context.Context) Answer {
	all, err := q.store.Checkpoints(ctx)
	if err != nil {
		a := refused(err, fmt.Sprint(q.sample.checkpoints()))
		a.part = rows
		return a
	}
	a := Answer{part: rows, Verdict: Right, Got: fmt.Sprint(all), Want: fmt.Sprint(q.sample.checkpoints())}
	for _, v := range q.sample.Views {
		at, ok := all[v.ID]
		delete(all, v.ID)
		switch {
		case ok == !v.Checkpoint.IsZero() && at.Equal(v.Checkpoint):
		case !ok:
			a.Verdict, a.view = Partial, v.ID
		case earlier(at, v.Checkpoint):
			a.Verdict, a.view = Stale, v.ID
		default:
			a.Verdict, a.view = Wrong, v.ID
			return a
		}
	}
	if len(all) > 0 {
		a.Verdict = Wrong
	}
	return a
}
