// Package sample makes a small log that has something of everything, and knows what
// a store must answer about it. Proofs damage copies of it.
package sample

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// Sample is a log's content.
type Sample struct {
	Info   eventstore.Info
	Events []eventstore.Event // the event of position p at p-1
	Keys   map[string]eventstore.Receipt
	Views  []View
	Last   int   // events of the last commit, which is the last transaction
	Size   int64 // of the file, in bytes; after Used there are only zeros
	Used   int
}

// View is a view of the log and its rows.
type View struct {
	ID         eventstore.ViewID
	Checkpoint eventstore.Checkpoint
	Rows       []eventstore.Row // ordered by table and key
}

// The views of a sample.
const (
	inline  eventstore.ViewID = "inline"
	async   eventstore.ViewID = "async"
	faulted eventstore.ViewID = "faulted"
	dropped eventstore.ViewID = "dropped"
)

// commits is the number of commits of a sample.
const commits = 130

// indexMemory is small enough that most of the index, but not all, is in the file,
// in several runs.
const indexMemory = 100

// Build makes a sample in a new file at path. The same seed makes the same log,
// except for the store's id.
func Build(ctx context.Context, path string, seed uint64) (_ *Sample, err error) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s, err := boltstore.Open(path, &boltstore.Options{
		Clock:       func() time.Time { now = now.Add(time.Second); return now },
		IndexMemory: indexMemory,
	})
	if err != nil {
		return nil, err
	}
	sample := &Sample{Info: s.Info(), Keys: make(map[string]eventstore.Receipt)}
	err = errors.Join(sample.fill(ctx, s, rand.New(rand.NewPCG(seed, 0))), s.Close())
	if err != nil {
		return nil, err
	}
	return sample, sample.measure(path)
}

// fill appends the log, with an attached view and views that are written from
// outside and dropped.
func (s *Sample) fill(ctx context.Context, store *boltstore.Store, random *rand.Rand) error {
	if err := store.Attach(ctx, fold.Inline(inline)); err != nil {
		return err
	}
	faulty := fold.Inline(faulted)
	apply := faulty.Apply
	faulty.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if events[0].Position > 60 {
			return errors.New("a fault made on purpose")
		}
		return apply(ctx, tx, events)
	}
	if err := store.Attach(ctx, faulty); err != nil {
		return err
	}
	for i := range commits {
		if err := s.append(ctx, store, s.commit(random, i)); err != nil {
			return err
		}
		// The part of the index that is in the file must not be random, except for
		// the last commits.
		for i < commits-3 && store.Stats().Index.Memory >= indexMemory && ctx.Err() == nil {
			time.Sleep(100 * time.Microsecond)
		}
		if i == commits/2 {
			if err := s.commitView(ctx, store, dropped); err != nil {
				return err
			}
		}
		if i == commits*3/4 {
			if err := errors.Join(s.commitView(ctx, store, async), drop(ctx, store)); err != nil {
				return err
			}
		}
	}
	return s.noteViews(ctx, store)
}

// commit makes a commit.
func (s *Sample) commit(random *rand.Rand, i int) eventstore.Commit {
	var c eventstore.Commit
	if i%3 == 0 {
		c.Key = fmt.Sprintf("command-%0120d", i) // long, so that the index has several pages
	}
	n, most := 1+random.IntN(3), 120
	switch { // packs of a few records, and of many
	case i%24 == 9:
		n, most = 9+random.IntN(8), 2500
	case i == commits/3:
		n = 75
	}
	expected := make(map[eventstore.StreamID]bool)
	for range n {
		e := newEvent(random, most)
		if e.Stream != "" && !expected[e.Stream] {
			expected[e.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.At(s.Version(e.Stream))})
		}
		c.Events = append(c.Events, e)
	}
	return c
}

// newEvent makes an event with a payload of mostly less than most bytes.
func newEvent(random *rand.Rand, most int) eventstore.NewEvent {
	e := eventstore.NewEvent{
		Type: fmt.Sprint("type-", random.IntN(5)), SchemaVersion: random.Uint32N(3), Codec: "json",
		Data: make([]byte, random.IntN(most)),
	}
	if random.IntN(60) == 0 {
		e.Data = make([]byte, 5000+random.IntN(9000)) // needs overflow pages
	}
	binary.BigEndian.PutUint64(e.ID[:], random.Uint64())
	binary.BigEndian.PutUint64(e.ID[8:], random.Uint64())
	for i := range e.Data {
		e.Data[i] = byte(random.Uint32())
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

// append appends the commit and notes its events.
func (s *Sample) append(ctx context.Context, store eventstore.Store, c eventstore.Commit) error {
	receipt, err := store.Append(ctx, c)
	if err != nil {
		return err
	}
	s.note(c, receipt)
	s.Last = len(c.Events)
	return nil
}

// before returns the sample as of before the last transaction.
func (s *Sample) before() *Sample {
	b := *s
	head := eventstore.Position(len(s.Events) - s.Last)
	b.Events, b.Keys, b.Views = s.Events[:head:head], maps.Clone(s.Keys), slices.Clone(s.Views)
	maps.DeleteFunc(b.Keys, func(_ string, r eventstore.Receipt) bool { return r.First > head })
	for i, v := range b.Views {
		if v.Checkpoint.Position > head {
			b.Views[i].Checkpoint.Position = head
			b.Views[i].Rows = fold.Rows(b.Events)
		}
	}
	return &b
}

// note adds an acknowledged commit to the sample.
func (s *Sample) note(c eventstore.Commit, receipt eventstore.Receipt) {
	if c.Key != "" {
		s.Keys[c.Key] = receipt
	}
	for i, e := range c.Events {
		event := eventstore.Event{
			Position: receipt.First + eventstore.Position(i), Stream: e.Stream, ID: e.ID, Type: e.Type,
			SchemaVersion: e.SchemaVersion, Codec: e.Codec, Data: e.Data, Metadata: e.Metadata,
			Recorded: receipt.Recorded, Time: e.Time,
		}
		if e.Stream != "" {
			event.Version = s.Version(e.Stream) + 1
		}
		if e.Time.IsZero() {
			event.Time = receipt.Recorded
		}
		seen := make(map[eventstore.Tag]bool)
		for _, tag := range e.Tags {
			if !seen[tag] {
				event.Tags = append(event.Tags, tag)
			}
			seen[tag] = true
		}
		s.Events = append(s.Events, event)
	}
}

// Version returns the version of the stream's last event.
func (s *Sample) Version(stream eventstore.StreamID) eventstore.Version {
	for i := len(s.Events) - 1; i >= 0; i-- {
		if s.Events[i].Stream == stream {
			return s.Events[i].Version
		}
	}
	return 0
}

func (s *Sample) commitView(ctx context.Context, store *boltstore.Store, view eventstore.ViewID) error {
	through := eventstore.Checkpoint{Position: eventstore.Position(len(s.Events)), Data: []byte("of " + view)}
	return fold.Commit(ctx, store, view, eventstore.Checkpoint{}, through, s.Events)
}

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
func (s *Sample) noteViews(ctx context.Context, store *boltstore.Store) error {
	all, err := store.Checkpoints(ctx)
	if err != nil {
		return err
	}
	for _, view := range []eventstore.ViewID{inline, async, faulted} {
		at, err := fold.Check(ctx, store, view, s.Events)
		if err != nil {
			return err
		}
		if !at.Equal(all[view]) || at.IsZero() {
			return fmt.Errorf("view %q shows %v, its checkpoint is %v", view, at, all[view])
		}
		s.Views = append(s.Views, View{ID: view, Checkpoint: at, Rows: fold.Rows(s.Events[:at.Position])})
	}
	if len(all) != len(s.Views) || s.Views[2].Checkpoint.Fault == nil {
		return fmt.Errorf("checkpoints %v of the views", all)
	}
	return nil
}

// measure notes the size of the file and of its used part.
func (s *Sample) measure(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.Size, s.Used = int64(len(content)), len(content)
	for s.Used > 0 && content[s.Used-1] == 0 {
		s.Used--
	}
	page := os.Getpagesize()
	s.Used = (s.Used + page - 1) / page * page
	return nil
}

// The files of a saved sample.
const (
	knownFile = "sample.json"
	logFile   = "sample.yore"
)

// Save writes the sample and the used part of its file at path to a directory.
func (s *Sample) Save(path, dir string) error {
	known, err := json.Marshal(s)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, knownFile), known, 0o600),
		os.WriteFile(filepath.Join(dir, logFile), content[:s.Used], 0o600),
	)
}

// Files returns the files that Save wrote to a directory.
func Files(dir string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, name := range []string{knownFile, logFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// Load reads a saved sample, and the used part of its file.
func Load(dir string) (*Sample, []byte, error) {
	files, err := Files(dir)
	if err != nil {
		return nil, nil, err
	}
	var s Sample
	if err := json.Unmarshal(files[knownFile], &s); err != nil {
		return nil, nil, err
	}
	for i := range s.Events {
		if s.Events[i].Data == nil {
			s.Events[i].Data = []byte{}
		}
	}
	return &s, files[logFile], nil
}

// New builds a sample in scratch, checks that the store answers all questions about
// an undamaged copy, and saves it to dir, which New creates.
func New(ctx context.Context, scratch, dir string, seed uint64) (*Sample, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(scratch, "building.yore")
	s, err := Build(ctx, path, seed)
	if err != nil {
		return nil, fmt.Errorf("build a sample: %w", err)
	}
	if err := errors.Join(s.Save(path, dir), os.Remove(path)); err != nil {
		return nil, err
	}
	loaded, content, err := Load(dir)
	if err != nil {
		return nil, err
	}
	for _, readOnly := range []bool{true, false} {
		if err := Write(path, content, loaded.Size); err != nil {
			return nil, err
		}
		if v := loaded.Examine(ctx, path, readOnly); v.Class != Harmless {
			return nil, fmt.Errorf("a sample that is not damaged (read-only %v): %v by %s: %s", readOnly, v.Class, v.By, v.Detail)
		}
	}
	return loaded, os.Remove(path)
}

// Write makes a new file of content, with zeros up to size.
func Write(path string, content []byte, size int64) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// newID makes the ids of events that an examination appends.
func newID(n uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}
