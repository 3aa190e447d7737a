package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// checkViews checks the checkpoints and rows of all views.
func (v *verifier) checkViews() error {
	if v.store.file.badRows != nil { // their pages have been reported
		return nil
	}
	views, err := v.findViews()
	if err != nil {
		return err
	}
	v.result.views = len(views)
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

// findViews checks all checkpoints and returns the views there are, and whether
// they have rows. There are few, and one transaction must see them all: a view
// that is written meanwhile gets both at once.
func (v *verifier) findViews() (map[eventstore.ViewID]bool, error) {
	views := make(map[eventstore.ViewID]bool)
	damage, err := v.page(func(tx *bolt.Tx) error {
		if err := v.checkCheckpoints(tx, views); err != nil {
			return err
		}
		if rows := tx.Bucket(rowsBucket); rows != nil {
			if err := rows.ForEach(func(name, value []byte) error {
				v.findRows(views, name, value)
				return nil
			}); err != nil {
				return err
			}
		}
		if changes := tx.Bucket(changesBucket); changes != nil {
			return changes.ForEach(func(name, _ []byte) error {
				if !views[eventstore.ViewID(name)] {
					v.add(kindStrayBucket, 0, "there are changes of rows of view %q, which has none", name)
				}
				return nil
			})
		}
		return nil
	})
	if damage != nil {
		v.add(kindDamagedPage, 0, "the views cannot be read: %v", damage)
	}
	return views, err
}

// findRows notes that a view has rows.
func (v *verifier) findRows(views map[eventstore.ViewID]bool, name, value []byte) {
	view := eventstore.ViewID(name)
	_, hasCheckpoint := views[view]
	switch {
	case value != nil:
		v.add(kindStrayBucket, 0, "among the rows of views there is the key %q, which is no view", name)
		return
	case !hasCheckpoint:
		v.addFinding(finding{kind: kindStrayRow, view: view, problem: "there are rows and no checkpoint: the view is being dropped, or its checkpoint was lost"})
	}
	views[view] = true
}

// checkCheckpoints adds the views that have a checkpoint, also a damaged one.
func (v *verifier) checkCheckpoints(tx *bolt.Tx, views map[eventstore.ViewID]bool) error {
	var head eventstore.Position
	if log := tx.Bucket(logBucket); log != nil {
		last, _ := log.Cursor().Last()
		head, _ = record.ParseKey(last)
	}
	return forEachCheckpoint(tx, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
		views[view] = false
		if err == nil && c.Position > head {
			err = fmt.Errorf("it is at position %d, beyond the head %d", c.Position, head)
		}
		if err != nil {
			v.addFinding(finding{kind: kindDamagedCheckpoint, view: view, problem: err.Error()})
		}
		return nil
	})
}

// rowTries is how often the rows of a view that changes are counted.
const rowTries = 3

// checkRows checks each row of a view, and that there are those that its tally
// says. A view that changes meanwhile is counted again.
func (v *verifier) checkRows(view eventstore.ViewID) error {
	for range rowTries {
		w := &rowWalk{v: v, view: view}
		before, omitted := len(v.result.findings), v.result.omitted
		for !w.done {
			damage, err := v.page(w.page)
			if err != nil {
				return err
			}
			if damage != nil {
				v.addFinding(finding{kind: kindDamagedPage, view: view, problem: fmt.Sprintf("its rows cannot be read on from key %q: %v", w.from, damage)})
				return nil
			}
		}
		if w.gone {
			return nil
		}
		if !w.changed {
			v.result.rows += w.rows
			w.compare()
			return nil
		}
		v.result.findings, v.result.omitted = v.result.findings[:before], omitted // they are found again
	}
	v.result.unsettled = append(v.result.unsettled, view)
	return nil
}

// rowWalk goes once over the rows of a view.
type rowWalk struct {
	v    *verifier
	view eventstore.ViewID
	from []byte // the key to go on from; nil: the first
	done bool

	said    []byte // the view's tally, as it is in the file
	dropped bool   // the view has no checkpoint: it is being dropped
	changed bool   // it did not stay the same
	gone    bool   // the view did not stay
	rows    int    // whole ones, as they are under the layers of changes
	counted tally
	damaged bool // some rows are, so the tally cannot be right
}

// page checks the next rows.
func (w *rowWalk) page(tx *bolt.Tx) error {
	b := viewRows(tx, w.view)
	if b == nil { // it has been dropped since
		w.done, w.gone = true, true
		return nil
	}
	said := b.Get(tallyKey)
	checkpoints := tx.Bucket(checkpointsBucket)
	w.dropped = checkpoints == nil || checkpoints.Get([]byte(w.view)) == nil
	if w.from == nil {
		w.said = bytes.Clone(said)
	} else if !bytes.Equal(w.said, said) {
		w.done, w.changed = true, true
		return nil
	}
	own := layer{view: w.view, bucket: b}
	cursor := b.Cursor()
	size, n := 0, 0
	for key, sealed := cursor.Seek(w.from); ; key, sealed = cursor.Next() {
		if key == nil {
			w.done = true
			return w.changes(tx)
		}
		if n >= verifyEvents || size >= pageBytes {
			w.from = bytes.Clone(key)
			return nil
		}
		if !bytes.Equal(key, tallyKey) && w.check(&own, key, sealed) {
			w.rows++
		}
		size += len(sealed)
		n++
	}
}

// changes checks the layers over the view's own rows: those that its tally says there
// are, and that there are no others.
func (w *rowWalk) changes(tx *bolt.Tx) error {
	t, err := openTally(w.view, w.said)
	if err != nil {
		return nil //nolint:nilerr // there is no telling; compare reports it
	}
	b := viewChanges(tx, w.view)
	if b == nil {
		return nil
	}
	l := layer{view: w.view, bucket: b}
	if err := b.ForEach(func(key, sealed []byte) error {
		if !t.knows(key) {
			w.v.addFinding(finding{kind: kindStrayRow, view: w.view, problem: fmt.Sprintf("there is a change %q of which its tally does not know", key)})
			return nil
		}
		l.number = key[:numberSize]
		w.check(&l, key, sealed)
		return nil
	}); err != nil {
		return err
	}
	return w.countChanges(tx, t)
}

// countChanges counts what the changes make of the number of rows, as far as they can be
// read.
func (w *rowWalk) countChanges(tx *bolt.Tx, t tally) error {
	changes := rowCursor{from: firstRow}
	layers, err := changesOf(tx, w.view, t)
	if err == nil {
		err = changes.start(layers)
	}
	for err == nil {
		var e rowEntry
		if e, err = changes.next(); e.key == nil {
			break
		}
		switch own := viewRows(tx, w.view).Get(e.key); {
		case own == nil && e.value != nil:
			w.rows++
		case own != nil && e.value == nil:
			w.rows--
		}
	}
	if errors.Is(err, eventstore.ErrCorrupt) { // and has been reported
		return nil
	}
	return err
}

// check checks what a layer has under a key, and counts it. It reports whether that is
// whole.
func (w *rowWalk) check(l *layer, key, sealed []byte) bool {
	problem := ""
	if table, name, ok := strings.Cut(string(key[len(l.number):]), "\x00"); !ok || table == "" || name == "" {
		problem = fmt.Sprintf("key %q is not that of a row", key)
	} else if _, err := l.open(key, sealed); err != nil {
		problem = err.Error()
	}
	if problem != "" {
		w.damaged = true
		w.v.addFinding(finding{kind: kindDamagedRow, view: w.view, problem: problem})
		return false
	}
	w.counted.add(sealed)
	return true
}

// compare compares what was counted with the view's tally.
func (w *rowWalk) compare() {
	problem := ""
	said, err := openTally(w.view, w.said)
	switch {
	case w.said == nil && w.dropped:
		return // it went first
	case w.said == nil:
		problem = "there is no tally of its rows"
	case err != nil:
		problem = err.Error()
	case w.damaged:
		return
	case said.rows != w.counted.rows:
		problem = fmt.Sprintf("there are %d rows, and should be %d", w.counted.rows, said.rows)
	case said.sum != w.counted.sum:
		problem = "there are as many rows as there should be, but not the same"
	default:
		return
	}
	w.v.addFinding(finding{kind: kindMissingRow, view: w.view, problem: problem})
}

// reasonOf is the text of an error without what its kind says already.
func reasonOf(err error) string {
	var corrupt *eventstore.CorruptError
	if errors.As(err, &corrupt) {
		return corrupt.Reason
	}
	return err.Error()
}
