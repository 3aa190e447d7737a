package boltstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// turn has everything that the holder of the pen writes in one transaction: the group of
// commits, the changes of views, and slices of the index. It ends with the outcomes of its
// jobs; only the group outlives it.
type turn struct {
	w       *writer
	group   *group
	batches []*batch                          // the jobs
	changes map[eventstore.ViewID]*viewChange // of views
	spared  map[eventstore.ViewID]error       // views whose changes were taken out, and why
	slices  []*indexWrite                     // changes of the index
	indexed func(durable bool)                // ends what indexGroup has begun; nil: nothing
}

func (w *writer) newTurn() *turn {
	last := w.tail.last()
	return &turn{w: w, group: newGroup(w.seed, last.end(), last.recorded)}
}

// enter lets the jobs of batches enter the turn.
func (t *turn) enter(batches []*batch) {
	t.batches = append(t.batches, batches...)
	for _, b := range batches {
		for _, j := range b.jobs {
			if j.take() {
				j.enter(t)
			}
		}
	}
}

// changesFile reports whether there is anything to write.
func (t *turn) changesFile() bool { return len(t.group.entries)+len(t.changes)+len(t.slices) > 0 }

// commit makes the turn durable. On an error nothing of it is in the log, apart from
// ErrUnknownOutcome.
func (t *turn) commit() error {
	w := t.w
	for {
		err := w.transact(t.fill)
		if t.indexed != nil {
			t.indexed(err == nil)
		}
		var bad *badViewError
		switch {
		case err == nil:
			return nil
		case len(t.slices) > 0 && (errors.Is(err, index.ErrUnusable) || errors.Is(err, errIndexPage)):
			w.index.suspect(t.slices[0].index, err)
			t.dropSlices(errIndexReplaced)
		case errors.As(err, &bad) && t.spared[bad.view] == nil:
			w.logger.Error("a view's rows are damaged", "file", w.file.Path, "error", bad)
			t.spare(bad)
		case len(t.slices) > 0 && len(t.group.entries)+len(t.changes) > 0 && !w.failed.Load():
			t.dropSlices(err) // the disk may have space for the events, if not for the index
		default:
			return err
		}
	}
}

// fill puts everything that the turn changes into the transaction, and the jobs that
// arrive meanwhile.
func (t *turn) fill(tx *pages.WriteTx, end *logfile.Head) error {
	if err := t.putViews(tx); err != nil {
		return err
	}
	g, log := t.group, &t.w.log
	log.Begin(tx)
	for put := 0; ; {
		for ; put < len(g.entries); put++ {
			if err := log.Put(g.position(put), g.entries[put].record); err != nil {
				return err
			}
		}
		if !t.joinable() {
			break
		}
		batches := t.w.queue.takeMore(t.batches)
		if len(batches) == 0 {
			break
		}
		t.enter(batches)
	}
	if err := log.End(); err != nil {
		return err
	}
	*end = g.end()
	t.indexGroup()
	return t.putSlices(tx)
}

// joinable reports whether jobs may still join the group, though changes of views have
// been put into the transaction: the group is small, no view has to see their events,
// and they change no rows.
func (t *turn) joinable() bool {
	n := len(t.group.entries)
	return n > 0 && n < enough && len(t.changes) == 0 && len(t.w.views.inline) == 0
}

// indexGroup begins to add the group to the index in memory while the group is written.
// Readers ask the index up to the head only, and so do not see the group yet.
func (t *turn) indexGroup() {
	g, x := t.group, t.w.index.current.Load()
	n := len(g.entries)
	if n == 0 || t.w.index.down.Load() || x.Through() != g.first-1 {
		return
	}
	var keys map[int]string // by the index of the entry
	if len(g.keys) > 0 {
		keys = make(map[int]string, len(g.keys))
	}
	for key, i := range g.keys {
		keys[g.commits[i].start] = key
	}
	entry := func(i int) index.Entry {
		e := &g.entries[i]
		return index.Entry{Position: g.position(i), Stream: e.stream, Version: e.version, Type: e.kind, Tags: e.tags, Key: keys[i]}
	}
	const few = 64 // too few for another goroutine
	var adding sync.WaitGroup
	if n < few {
		x.Add(n, entry)
	} else {
		adding.Go(func() { x.Add(n, entry) })
	}
	t.indexed = func(durable bool) {
		adding.Wait()
		t.indexed = nil
		if !durable {
			x.Undo(n, entry)
		}
	}
}

// errIndexPage means that a page of the index is damaged.
var errIndexPage = errors.New("the index")

// putSlices puts the changes of the index into the transaction.
func (t *turn) putSlices(tx *pages.WriteTx) error {
	for _, write := range t.slices {
		err := logfile.Protect(func() error { return write.slice.Apply(tx) })
		if errors.Is(err, logfile.ErrBadPage) {
			return fmt.Errorf("%w: %w", errIndexPage, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropSlices takes the changes of the index out of the turn; their jobs end with err.
func (t *turn) dropSlices(err error) {
	for _, write := range t.slices {
		write.err = err
	}
	t.slices = nil
}

// writeSlice makes a slice of an index durable, with the next group.
func (w *writer) writeSlice(x *index.Index, slice *index.Slice) error {
	return w.submit(&indexWrite{ticket: newTicket(context.Background()), index: x, slice: slice})
}

// indexWrite is a slice of an index on its way to the writer.
type indexWrite struct {
	ticket
	index *index.Index
	slice *index.Slice
}

// enter implements job.
func (i *indexWrite) enter(t *turn) {
	if t.w.index.down.Load() || t.w.index.current.Load() != i.index {
		i.err = errIndexReplaced
		return
	}
	t.slices = append(t.slices, i)
}
