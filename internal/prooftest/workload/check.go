package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// Wrong is the error of a wrong image.
type Wrong struct {
	Class string // a constant below
	Text  string
}

// The classes of wrong images.
const (
	Unusable = "unusable" // the file cannot be opened, read or appended to
	Lost     = "lost"     // an acknowledged event is missing or changed
	Extra    = "extra"    // a refused event, a part of a commit or an unknown event is there
	Derived  = "derived"  // the index or a view disagrees with the log
)

func (w *Wrong) Error() string { return w.Class + ": " + w.Text }

func wrongf(class, format string, args ...any) error {
	return &Wrong{class, fmt.Sprintf(format, args...)}
}

// Check opens the store in a directory and compares it with the history. Then it
// appends a commit, reopens the store and compares again. It returns marks that
// describe what it found before the append, as the beginning of a new history. An
// error that is not a *[Wrong] tells nothing about the store.
func Check(ctx context.Context, dir string, script *Script, h *History) (found []string, err error) {
	path := filepath.Join(dir, LogName)
	_, err = os.Stat(path)
	gone := errors.Is(err, fs.ErrNotExist)
	if gone && h.Opened {
		return nil, wrongf(Lost, "the file is gone, though it had been opened")
	}
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	c := &checker{ctx: ctx, path: path, script: script, history: h, registry: registry}
	found, err = c.check()
	if gone {
		found = nil
	}
	return found, err
}

type checker struct {
	ctx      context.Context
	path     string
	script   *Script
	history  *History
	registry *codec.Registry

	store   *boltstore.Store
	events  []eventstore.Event // the log
	commits []found            // in it, in order
}

// found is a commit in the log.
type found struct {
	id          ID
	first, last eventstore.Position
}

func (c *checker) check() ([]string, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	err := c.look()
	marks := c.marks()
	if err == nil {
		err = c.goOn()
	}
	closed := c.store.Close()
	if err == nil && closed != nil {
		err = wrongf(Unusable, "close: %v", closed)
	}
	return marks, err
}

func (c *checker) open() (err error) {
	options := &boltstore.Options{IndexMemory: c.script.params.indexMemory()}
	if c.store, err = boltstore.Open(c.path, options); err != nil {
		return wrongf(Unusable, "%v", err)
	}
	return nil
}

// look compares the store with the history.
func (c *checker) look() error {
	if err := c.readLog(); err != nil {
		return err
	}
	if err := c.checkCommits(); err != nil {
		return err
	}
	if err := c.checkLookups(); err != nil {
		return err
	}
	if err := c.checkIndex(); err != nil {
		return err
	}
	return c.checkViews()
}

// goOn appends a commit, closes and opens the store, and looks again.
func (c *checker) goOn() error {
	const writer = 9 // has not appended before
	n := 1
	for _, f := range c.commits {
		if f.id.Writer == writer {
			n = f.id.N + 1
		}
	}
	id := ID{writer, n}
	receipt, err := c.store.Append(c.ctx, *c.script.Commit(id))
	if err != nil {
		return wrongf(Unusable, "append: %v", err)
	}
	if err := c.store.Close(); err != nil {
		return wrongf(Unusable, "close: %v", err)
	}
	if err := c.open(); err != nil {
		return err
	}
	c.history = c.history.clone()
	for _, f := range c.commits {
		c.history.Acked[f.first], c.history.last[f.id] = f.id, f.last
	}
	c.history.Acked[receipt.First], c.history.last[id] = id, receipt.Last
	c.history.Floor = receipt.Last
	if err := c.readLog(); err != nil {
		return err
	}
	if err := c.checkCommits(); err != nil {
		return err
	}
	if err := c.checkLookup(c.commits[len(c.commits)-1]); err != nil {
		return err
	}
	return c.verify()
}

// verify runs the store's Verify.
func (c *checker) verify() error {
	v, err := c.store.Verify(c.ctx, nil)
	if err != nil {
		return wrongf(Unusable, "verify: %v", err)
	}
	for _, f := range v.Findings {
		if dropping := f.View != "" && c.history.Rows[f.View].gone; !dropping {
			return wrongf(Derived, "verify: %v, and %d others", f, len(v.Findings)+v.Omitted-1)
		}
	}
	return nil
}

// marks returns what was found as marks.
func (c *checker) marks() []string {
	marks := []string{"opened"}
	for _, f := range c.commits {
		marks = append(marks, fmt.Sprintf("acked %v %d %d", f.id, f.first, f.last))
	}
	set, err := c.store.GetRows(c.ctx, Async)
	switch {
	case err == nil && !set.Checkpoint.IsZero():
		marks = append(marks, fmt.Sprintf("rows %s %d", Async, set.Checkpoint.Position))
	case err == nil && c.history.Rows[Async].gone:
		marks = append(marks, fmt.Sprintf("drop %s", Async)) // its rows may be there in part
	}
	if live := c.liveVersion(); live > 0 {
		marks = append(marks, fmt.Sprintf("live %d", live))
	}
	return marks
}

// readLog reads all events and groups them into commits.
func (c *checker) readLog() error {
	c.events, c.commits = c.events[:0], c.commits[:0]
	for e, err := range c.store.Read(c.ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return wrongf(Unusable, "read: %v", err)
		}
		c.events = append(c.events, e)
		id, i := idOf(e.ID)
		if i == 0 {
			c.commits = append(c.commits, found{id: id, first: e.Position})
		}
		if len(c.commits) == 0 || c.commits[len(c.commits)-1].id != id {
			return wrongf(Extra, "position %d has event %d of commit %v, and its first events are not before it", e.Position, i, id)
		}
		c.commits[len(c.commits)-1].last = e.Position
	}
	head, err := c.store.Head(c.ctx)
	if err != nil || int(head) != len(c.events) {
		return wrongf(Unusable, "the head is %d, the log has %d events: %v", head, len(c.events), err)
	}
	return nil
}

// checkCommits compares the log with the script and the history.
func (c *checker) checkCommits() error {
	if head := eventstore.Position(len(c.events)); head < c.history.Floor {
		return wrongf(Lost, "the log ends at %d, acknowledged or seen was %d", head, c.history.Floor)
	}
	versions := make(map[eventstore.StreamID]eventstore.Version)
	seen := make(map[ID]bool)
	for _, f := range c.commits {
		if seen[f.id] {
			return wrongf(Extra, "commit %v is there twice", f.id)
		}
		seen[f.id] = true
		if err := c.checkAllowed(f); err != nil {
			return err
		}
		if err := c.checkEvents(f, versions); err != nil {
			return err
		}
	}
	for first, id := range c.history.Acked {
		if !seen[id] {
			return wrongf(Lost, "commit %v at %d was acknowledged and is not there", id, first)
		}
	}
	return nil
}

func (c *checker) checkAllowed(f found) error {
	h := c.history
	if last, acked := h.last[f.id]; acked {
		if h.Acked[f.first] != f.id || last != f.last {
			return wrongf(Lost, "commit %v is at %d to %d, and was acknowledged to end at %d", f.id, f.first, f.last, last)
		}
		return nil
	}
	if !h.InFlight[f.id] {
		return wrongf(Extra, "commit %v is there, and was refused or never begun", f.id)
	}
	return nil
}

// checkEvents compares the events of a commit with the script.
func (c *checker) checkEvents(f found, versions map[eventstore.StreamID]eventstore.Version) error {
	want := c.script.Commit(f.id)
	if n := int(f.last - f.first + 1); n != len(want.Events) {
		return wrongf(Extra, "commit %v has %d events of %d", f.id, n, len(want.Events))
	}
	for i, w := range want.Events {
		e := c.events[int(f.first)-1+i]
		if w.Stream != "" {
			versions[w.Stream]++
		}
		position := f.first + eventstore.Position(i)
		if e.Position != position || e.Version != versions[w.Stream] {
			return wrongf(Lost, "the event at %d says position %d, version %d of %q, and must be version %d",
				position, e.Position, e.Version, e.Stream, versions[w.Stream])
		}
		if !sameEvent(e, w) {
			return wrongf(Lost, "the event at %d is not as it was appended: %+v, and was %+v", position, e, w)
		}
		if first := c.events[f.first-1]; !e.Recorded.Equal(first.Recorded) {
			return wrongf(Lost, "the event at %d was recorded at %v, the first of its commit at %v", position, e.Recorded, first.Recorded)
		}
		if f.first > 1 && e.Recorded.Before(c.events[f.first-2].Recorded) {
			return wrongf(Lost, "the event at %d was recorded before the one before it", position)
		}
	}
	return nil
}

func sameEvent(e eventstore.Event, w eventstore.NewEvent) bool {
	at := w.Time
	if at.IsZero() {
		at = e.Recorded
	}
	return e.ID == w.ID && e.Type == w.Type && e.Stream == w.Stream && e.SchemaVersion == w.SchemaVersion &&
		e.Codec == w.Codec && bytes.Equal(e.Data, w.Data) && slices.Equal(e.Tags, w.Tags) &&
		maps.Equal(e.Metadata, w.Metadata) && e.Time.Equal(at)
}

// checkViews compares every view with a fold of the log.
func (c *checker) checkViews() error {
	all, err := c.store.Checkpoints(c.ctx)
	if err != nil {
		return wrongf(Derived, "checkpoints: %v", err)
	}
	for _, view := range []eventstore.ViewID{Async, Inline} {
		if err := c.checkView(view, all[view]); err != nil {
			return err
		}
	}
	if err := checkStock(c.ctx, c.store, c.registry, c.history); err != nil {
		return wrongf(Derived, "%v", err)
	}
	return nil
}

func (c *checker) checkView(view eventstore.ViewID, at eventstore.Checkpoint) error {
	known := c.history.Rows[view]
	if known.gone && at.IsZero() {
		return nil
	}
	if at.Position < known.from {
		return wrongf(Lost, "view %q is at %d, acknowledged was %d", view, at.Position, known.from)
	}
	if at.Fault != nil {
		return wrongf(Derived, "view %q has a fault: %s", view, at.Fault.Reason)
	}
	if c.history.Inline[view] && int(at.Position) != len(c.events) {
		return wrongf(Derived, "view %q is attached and at %d, the head is %d", view, at.Position, len(c.events))
	}
	if _, err := fold.Check(c.ctx, c.store, view, c.events); err != nil {
		return wrongf(Derived, "%v", err)
	}
	return nil
}
