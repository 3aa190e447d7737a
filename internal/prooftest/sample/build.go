// Package sample makes a small log that has something of everything, and knows what
// a store must answer about it. Proofs damage copies of it.
package sample

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// The views of a sample.
const (
	inline  eventstore.ViewID = "inline"
	async   eventstore.ViewID = "async"
	faulted eventstore.ViewID = "faulted"
	dropped eventstore.ViewID = "dropped"
)

// commits is the number of commits of a sample.
const commits = 130

// someIndexed is an IndexMemory that is small enough that most of the index, but not
// all, is in the file, in several runs. With the default, none of it is.
const someIndexed = 100

// Build describes how a sample is made. The same Seed and Content make the same log,
// except for the store's id.
type Build struct {
	Seed uint64
	// Content makes other payloads and ids. The logs of one Seed have events with the
	// same names and sizes.
	Content uint64
	Indexed bool // most of the index is in the file, otherwise none of it
	Reopen  int  // the log is closed and opened again after this number of commits; 0: never
	// Each, if not nil, is called after each step, with the state after it. No
	// transaction runs meanwhile.
	Each func(State) error
}

// builder makes a sample.
type builder struct {
	Build
	*Sample
	path   string
	store  *boltstore.Store
	random *rand.Rand // for names and sizes
	bytes  *rand.Rand // for payloads and ids
	now    time.Time
}

// In makes the sample in a new file at path.
func (b Build) In(ctx context.Context, path string) (*Sample, error) {
	w := &builder{Build: b, path: path, random: rand.New(rand.NewPCG(b.Seed, 0)),
		bytes:  rand.New(rand.NewPCG(b.Seed, 1+b.Content)),
		Sample: &Sample{Keys: make(map[string]eventstore.Receipt)},
		now:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	err := w.open(ctx)
	if err == nil {
		w.Info = w.store.Info()
		err = w.fill(ctx)
		err = errors.Join(err, w.store.Close())
	}
	if err == nil && b.Each != nil {
		err = b.Each(w.State()) // Close may write the index
	}
	if err != nil {
		return nil, err
	}
	return w.Sample, w.measure(path)
}

// open opens the log and attaches its inline views.
func (b *builder) open(ctx context.Context) (err error) {
	memory := 0
	if b.Indexed {
		memory = someIndexed
	}
	b.store, err = boltstore.Open(b.path, &boltstore.Options{
		Clock:       func() time.Time { b.now = b.now.Add(time.Second); return b.now },
		IndexMemory: memory,
	})
	if err != nil {
		return err
	}
	if err := b.store.Attach(ctx, fold.Inline(inline)); err != nil {
		return err
	}
	err = b.store.Attach(ctx, faultyView())
	if errors.Is(err, eventstore.ErrFaulted) {
		err = nil
	}
	return err
}

// faultyView is a view that has a fault in the middle of the log.
func faultyView() eventstore.InlineView {
	faulty := fold.Inline(faulted)
	apply := faulty.Apply
	faulty.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if events[0].Position > 60 {
			return errors.New("a fault made on purpose")
		}
		return apply(ctx, tx, events)
	}
	return faulty
}

// fill appends the log, with attached views and views that are written from outside
// and dropped.
func (b *builder) fill(ctx context.Context) error {
	for i := range commits {
		if err := b.append(ctx, i); err != nil {
			return err
		}
		switch i {
		case commits / 2:
			if err := b.commitView(ctx, dropped); err != nil {
				return err
			}
		case commits / 4, commits * 3 / 4:
			if err := b.commitView(ctx, async); err != nil {
				return err
			}
		}
		if i == commits*3/4 {
			if err := errors.Join(drop(ctx, b.store), b.step(ctx)); err != nil {
				return err
			}
		}
		if b.Reopen > 0 && i%b.Reopen == b.Reopen-1 {
			if err := errors.Join(b.store.Close(), b.open(ctx), b.step(ctx)); err != nil {
				return err
			}
		}
	}
	return b.noteViews(ctx)
}

// step waits until the index is written and calls Each.
func (b *builder) step(ctx context.Context) error {
	// The part of the index that is in the file must not be random, except for the last
	// commits.
	for b.Indexed && len(b.Commits) <= commits-3 && b.store.Stats().Index.Memory >= someIndexed && ctx.Err() == nil {
		time.Sleep(100 * time.Microsecond)
	}
	if b.Each == nil {
		return ctx.Err()
	}
	all, err := b.store.Checkpoints(ctx)
	if err != nil {
		return err
	}
	return b.Each(State{len(b.Events), all})
}

// append appends the i-th commit and notes its events.
func (b *builder) append(ctx context.Context, i int) error {
	c := b.commit(i)
	receipt, err := b.store.Append(ctx, c)
	if err != nil {
		return err
	}
	b.note(c, receipt)
	b.Last = len(c.Events)
	return b.step(ctx)
}

// commit makes a commit.
func (b *builder) commit(i int) eventstore.Commit {
	var c eventstore.Commit
	if i%3 == 0 {
		c.Key = fmt.Sprintf("command-%0120d", i) // long, so that the index has several pages
	}
	n, most := 1+b.random.IntN(3), 120
	switch { // packs of a few records, and of many
	case i%24 == 9:
		n, most = 9+b.random.IntN(8), 2500
	case i == commits/3:
		n = 75
	}
	c.Events = b.accountEvents(i)
	if len(c.Events) > 0 {
		c.Key = fmt.Sprintf("transfer-%d", i)
		if i != commits/3 {
			n = 0
		}
	}
	for range n {
		c.Events = append(c.Events, b.newEvent(most))
	}
	expected := make(map[eventstore.StreamID]bool)
	for _, e := range c.Events {
		if e.Stream != "" && !expected[e.Stream] {
			expected[e.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.At(b.Version(e.Stream))})
		}
	}
	return c
}

// newEvent makes an event with a payload of mostly less than most bytes.
func (b *builder) newEvent(most int) eventstore.NewEvent {
	random := b.random
	e := eventstore.NewEvent{
		Type: fmt.Sprint("type-", random.IntN(5)), SchemaVersion: random.Uint32N(3), Codec: "json",
		Data: make([]byte, random.IntN(most)),
	}
	if random.IntN(60) == 0 {
		e.Data = make([]byte, 5000+random.IntN(9000)) // needs overflow pages
	}
	binary.BigEndian.PutUint64(e.ID[:], b.bytes.Uint64())
	binary.BigEndian.PutUint64(e.ID[8:], b.bytes.Uint64())
	for i := range e.Data {
		e.Data[i] = byte(b.bytes.Uint32())
	}
	if n := random.IntN(13); n < 12 {
		e.Stream = eventstore.StreamID(fmt.Sprintf("%s-%d", []string{"cart", "order", "customer"}[n%3], n))
	}
	for range random.IntN(4) {
		e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint("tag:", random.IntN(20))))
	}
	if random.IntN(3) == 0 {
		e.Metadata = eventstore.Metadata{"actor": "ann", "correlation": fmt.Sprint(random.Uint32())}
	}
	if random.IntN(4) == 0 {
		e.Time = time.Date(2011, 12, 9, 12, 50, random.IntN(60), random.IntN(1e9), time.UTC)
	}
	return e
}

func (b *builder) commitView(ctx context.Context, view eventstore.ViewID) error {
	all, err := b.store.Checkpoints(ctx)
	if err != nil {
		return err
	}
	at, through := all[view], eventstore.Checkpoint{Position: eventstore.Position(len(b.Events)), Data: dataOf(view)}
	if err := fold.Commit(ctx, b.store, view, at, through, b.Events[at.Position:]); err != nil {
		return err
	}
	return b.step(ctx)
}

// dataOf returns data of a view's checkpoint. With it the checkpoints have a page of
// their own; otherwise they would be stored in the root.
func dataOf(view eventstore.ViewID) []byte { return bytes.Repeat([]byte("of "+view+" "), 200) }

// drop removes a view, which leaves free pages in the file.
func drop(ctx context.Context, store *boltstore.Store) error {
	for more := true; more; {
		var err error
		if more, err = store.DropRows(ctx, dropped, 100); err != nil {
			return err
		}
	}
	return nil
}

// noteViews compares the views with the log and notes their rows.
func (b *builder) noteViews(ctx context.Context) error {
	all, err := b.store.Checkpoints(ctx)
	if err != nil {
		return err
	}
	for _, view := range []eventstore.ViewID{inline, async, faulted} {
		at, err := fold.Check(ctx, b.store, view, b.Events)
		if err != nil {
			return err
		}
		if !at.Equal(all[view]) || at.IsZero() {
			return fmt.Errorf("view %q shows %v, its checkpoint is %v", view, at, all[view])
		}
		b.Views = append(b.Views, View{ID: view, Checkpoint: at, Rows: fold.Rows(b.Events[:at.Position])})
	}
	if len(all) != len(b.Views) || b.Views[2].Checkpoint.Fault == nil {
		return fmt.Errorf("checkpoints %v of the views", all)
	}
	b.Views = append(b.Views, View{ID: dropped})
	return nil
}

// checkpoints returns the checkpoints of the views.
func (s *Sample) checkpoints() map[eventstore.ViewID]eventstore.Checkpoint {
	all := make(map[eventstore.ViewID]eventstore.Checkpoint)
	for _, v := range s.Views {
		all[v.ID] = v.Checkpoint
	}
	return all
}
