package boltstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/viewfile"
)

// viewSet is the store's state of its views. It is in memory, since the writer judges by it;
// views are few.
type viewSet struct {
	// Once the writer runs, only the holder of the pen uses these fields: the checkpoints
	// as they are on disk, the attached views in the order in which they were attached,
	// and the errors of views that take no rows until they are dropped.
	checkpoints map[eventstore.ViewID]eventstore.Checkpoint
	inline      []*inline
	refused     map[eventstore.ViewID]error

	mu      sync.Mutex
	claimed map[eventstore.ViewID]*inline // attached, late, or being attached; guarded by mu

	late      lateViews
	bringBack func(context.Context, *inline, eventstore.Late) // attaches a late view again
}

func newViewSet() *viewSet {
	return &viewSet{
		claimed:     make(map[eventstore.ViewID]*inline),
		checkpoints: make(map[eventstore.ViewID]eventstore.Checkpoint),
		refused:     make(map[eventstore.ViewID]error),
	}
}

// load reads the checkpoints. A damaged one does not prevent Open: its view is derived, and
// can be dropped and rebuilt.
func (v *viewSet) load(tx *pages.Tx, seed record.Seed) error {
	err := viewfile.ForEachCheckpoint(tx, seed, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
		if err != nil {
			v.refused[view] = err
		} else {
			v.checkpoints[view] = c
		}
		return nil
	})
	rows := tx.Bucket(logfile.RowsBucket)
	if err != nil || rows == nil {
		return err
	}
	for name, value := range rows.All() {
		view := eventstore.ViewID(name)
		if _, ok := v.checkpoints[view]; !ok && v.refused[view] == nil && value == nil {
			err := logfile.Protect(func() error { _, err := viewfile.Load(tx, viewfile.Of(seed, view)); return err })
			v.refused[view] = cmp.Or(err, errDropping(view))
		}
	}
	return nil
}

// errDropping returns the error for a view that takes no new rows because old ones are not
// deleted yet.
func errDropping(view eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q is being dropped, and not all of its rows are deleted", eventstore.ErrInvalid, view)
}

// claim claims a view for the caller, which attaches it. It reports false if the view is
// claimed already.
func (v *viewSet) claim(in *inline) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.claimed[in.View] != nil {
		return false
	}
	v.claimed[in.View] = in
	return true
}

// claims reports whether the view is still claimed. A late view is not once it was dropped.
func (v *viewSet) claims(in *inline) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.claimed[in.View] == in
}

func (v *viewSet) unclaim(in *inline) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.claimed[in.View] == in {
		delete(v.claimed, in.View)
	}
}

// attached returns the inline view of that name, or nil.
func (v *viewSet) attached(view eventstore.ViewID) *inline {
	for _, in := range v.inline {
		if in.View == view {
			return in
		}
	}
	return nil
}

// detach makes the writer go on without the view, which has a fault or was dropped.
func (v *viewSet) detach(view eventstore.ViewID) {
	if v.late.remove(view) {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.claimed, view)
		return
	}
	for i, in := range v.inline {
		if in.View == view {
			v.inline = slices.Delete(v.inline, i, i+1)
			v.unclaim(in)
			return
		}
	}
}

// keep notes the changes of a turn that is on disk.
func (v *viewSet) keep(changes map[eventstore.ViewID]*viewChange) {
	for view, change := range changes {
		if change.checkpoint.IsZero() {
			delete(v.checkpoints, view)
		} else {
			v.checkpoints[view] = change.checkpoint
		}
		if change.dropped {
			v.refused[view] = errDropping(view)
		}
		if change.empty {
			delete(v.refused, view)
		}
		if change.attach != nil {
			v.inline = append(v.inline, change.attach)
			v.late.remove(view)
		}
		if change.late != nil {
			v.leave(view, *change.late)
		} else if change.detach {
			v.detach(view)
		}
	}
}

// remember puts the rows that a turn has changed into the caches of the attached views.
func (v *viewSet) remember(changes map[eventstore.ViewID]*viewChange) {
	if len(changes) == 0 {
		return
	}
	for _, in := range v.inline {
		if change := changes[in.View]; change != nil {
			in.rows.Put(change.rows...)
		}
	}
}
