package verify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/viewfile"
)

// checkViews checks the checkpoints and rows of all views.
func (v *verifier) checkViews() error {
	if v.store.File.BadRows != nil { // reported by checkFile
		return nil
	}
	views, err := v.findViews()
	if err != nil {
		return err
	}
	v.result.Views = len(views)
	for _, view := range slices.Sorted(maps.Keys(views)) {
		if !views[view] {
			continue // it has no rows
		}
		if err := v.checkRows(view); err != nil {
			return err
		}
	}
	return nil
}

// findViews checks all checkpoints. It returns the views, and whether each has rows. One
// transaction must see all views, since a new view gets checkpoint and rows in one
// transaction; there are few.
func (v *verifier) findViews() (map[eventstore.ViewID]bool, error) {
	views := make(map[eventstore.ViewID]bool)
	damage, err := v.page(func(tx *pages.Tx) error {
		if err := v.checkCheckpoints(tx, views); err != nil {
			return err
		}
		if rows := tx.Bucket(logfile.RowsBucket); rows != nil {
			for name, value := range rows.All() {
				v.findRows(views, name, value)
			}
		}
		if changes := tx.Bucket(logfile.ChangesBucket); changes != nil {
			for name := range changes.All() {
				if !views[eventstore.ViewID(name)] {
					v.add(StrayBucket, 0, "there are changes of rows of view %q, which has no rows", name)
				}
			}
		}
		return nil
	})
	if damage != nil {
		v.add(DamagedPage, 0, "the views cannot be read: %v", damage)
	}
	return views, err
}

// findRows notes that a view has rows.
func (v *verifier) findRows(views map[eventstore.ViewID]bool, name, value []byte) {
	view := eventstore.ViewID(name)
	_, hasCheckpoint := views[view]
	switch {
	case value != nil:
		v.add(StrayBucket, 0, "the bucket of rows has the key %q, which is not a view", name)
		return
	case !hasCheckpoint:
		v.addFinding(Finding{Kind: StrayRow, View: view, Problem: "there are rows but no checkpoint: the view is being dropped, or its checkpoint was lost"})
	}
	views[view] = true
}

// checkCheckpoints adds the views that have a checkpoint, whole or damaged, to views.
func (v *verifier) checkCheckpoints(tx *pages.Tx, views map[eventstore.ViewID]bool) error {
	var head eventstore.Position
	if log := tx.Bucket(logfile.LogBucket); log != nil {
		last, _ := log.Cursor().Last()
		head, _ = record.ParseKey(last)
	}
	return viewfile.ForEachCheckpoint(tx, v.store.Seed, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
		views[view] = false
		if err != nil && !c.IsZero() && !errors.Is(err, viewfile.ErrOtherMoment) {
			err = nil // damage to rows and tally is found by checkRows
		}
		if err == nil && c.Position > head {
			err = fmt.Errorf("it is at position %d, beyond the head %d", c.Position, head)
		}
		if err != nil {
			v.addFinding(Finding{Kind: DamagedCheckpoint, View: view, Problem: err.Error()})
		}
		return nil
	})
}

// rowTries is how often the rows of a view that changes meanwhile are counted.
const rowTries = 3

// checkRows checks each row of a view and compares their number and sum with the tally. If
// the view changes meanwhile, its rows are counted again.
func (v *verifier) checkRows(view eventstore.ViewID) error {
	for range rowTries {
		w := &rowWalk{v: v, view: viewfile.Of(v.store.Seed, view)}
		before, omitted := len(v.result.Findings), v.result.Omitted
		for !w.done {
			damage, err := v.page(w.page)
			if err != nil {
				return err
			}
			if damage != nil {
				v.addFinding(Finding{Kind: DamagedPage, View: view, Problem: fmt.Sprintf("its rows cannot be read from key %q on: %v", w.from, damage)})
				return nil
			}
		}
		if w.gone {
			return nil
		}
		if !w.changed {
			v.result.Rows += w.rows
			w.compare()
			return nil
		}
		v.result.Findings, v.result.Omitted = v.result.Findings[:before], omitted // they are found again
	}
	v.result.Unsettled = append(v.result.Unsettled, view)
	return nil
}

// rowWalk walks once over the rows of a view.
type rowWalk struct {
	v    *verifier
	view viewfile.View
	from []byte // the key at which the next page begins; nil: the first
	done bool

	said    []byte // the view's tally as it is in the file
	dropped bool   // the view has no checkpoint: it is being dropped
	changed bool   // the view has changed during the walk
	gone    bool   // the view has been dropped during the walk
	rows    int    // whole rows, as a reader sees them
	counted viewfile.Tally
	damaged bool // some rows are damaged, so the tally cannot be compared
}

// page checks the next page of rows.
func (w *rowWalk) page(tx *pages.Tx) error {
	b := viewfile.Rows(tx, w.view)
	if b == nil { // it has been dropped since
		w.done, w.gone = true, true
		return nil
	}
	said := b.Get(viewfile.TallyKey)
	checkpoints := tx.Bucket(logfile.CheckpointsBucket)
	w.dropped = checkpoints == nil || checkpoints.Get([]byte(w.view.ID)) == nil
	if w.from == nil {
		w.said = bytes.Clone(said)
	} else if !bytes.Equal(w.said, said) {
		w.done, w.changed = true, true
		return nil
	}
	own := viewfile.Layer{View: w.view, Bucket: b}
	cursor := b.Cursor()
	size, n := 0, 0
	for key, sealed := cursor.Seek(w.from); ; key, sealed = cursor.Next() {
		if key == nil {
			w.done = true
			return w.changes(tx)
		}
		if n >= verifyEvents || size >= logfile.PageBytes {
			w.from = bytes.Clone(key)
			return nil
		}
		if !bytes.Equal(key, viewfile.TallyKey) && w.check(&own, key, sealed) {
			w.rows++
		}
		size += len(sealed)
		n++
	}
}

// changes checks the layers over the view's own rows, and that the tally names all of them.
func (w *rowWalk) changes(tx *pages.Tx) error {
	t, err := viewfile.OpenTally(w.view, w.said)
	if err != nil {
		return nil //nolint:nilerr // without a tally they cannot be checked; compare reports it
	}
	b := viewfile.ChangesBucket(tx, w.view)
	if b == nil {
		return nil
	}
	l := viewfile.Layer{View: w.view, Bucket: b}
	for key, sealed := range b.All() {
		if !t.Knows(key) {
			w.v.addFinding(Finding{Kind: StrayRow, View: w.view.ID, Problem: fmt.Sprintf("there is a change %q of a layer that its tally does not name", key)})
			continue
		}
		l.Number = key[:viewfile.NumberSize]
		w.check(&l, key, sealed)
	}
	return w.countChanges(tx, t)
}

// countChanges adjusts the number of rows by the changes, as far as they can be read.
func (w *rowWalk) countChanges(tx *pages.Tx, t viewfile.Tally) error {
	changes := viewfile.Cursor{From: viewfile.FirstRow}
	layers, err := viewfile.Changes(tx, w.view, t)
	if err == nil {
		err = changes.Start(layers)
	}
	for err == nil {
		var e viewfile.Entry
		if e, err = changes.Next(); e.Key == nil {
			break
		}
		switch own := viewfile.Rows(tx, w.view).Get(e.Key); {
		case own == nil && e.Value != nil:
			w.rows++
		case own != nil && e.Value == nil:
			w.rows--
		}
	}
	if errors.Is(err, eventstore.ErrCorrupt) { // reported by changes
		return nil
	}
	return err
}

// check checks an entry of a layer, counts it, and reports whether it is whole.
func (w *rowWalk) check(l *viewfile.Layer, key, sealed []byte) bool {
	problem := ""
	if table, name, ok := strings.Cut(string(key[len(l.Number):]), "\x00"); !ok || table == "" || name == "" {
		problem = fmt.Sprintf("key %q is not that of a row", key)
	} else if _, err := l.Open(key, sealed); err != nil {
		problem = err.Error()
	}
	if problem != "" {
		w.damaged = true
		w.v.addFinding(Finding{Kind: DamagedRow, View: w.view.ID, Problem: problem})
		return false
	}
	w.counted.Add(sealed)
	return true
}

// compare compares what was counted with the view's tally.
func (w *rowWalk) compare() {
	problem := ""
	said, err := viewfile.OpenTally(w.view, w.said)
	switch {
	case w.said == nil && w.dropped:
		return // Drop deletes the tally first
	case w.said == nil:
		problem = "its rows have no tally"
	case err != nil:
		problem = err.Error()
	case w.damaged:
		return
	case said.Rows != w.counted.Rows:
		problem = fmt.Sprintf("there are %d rows, and there should be %d", w.counted.Rows, said.Rows)
	case said.Sum != w.counted.Sum:
		problem = "there are as many rows as there should be, but others"
	default:
		return
	}
	w.v.addFinding(Finding{Kind: MissingRow, View: w.view.ID, Problem: problem})
}

// reasonOf returns the text of an error without the part that the finding's kind repeats.
func reasonOf(err error) string {
	var corrupt *eventstore.CorruptError
	if errors.As(err, &corrupt) {
		return corrupt.Reason
	}
	return err.Error()
}
