package boltstore

import (
	"context"
	"fmt"
	"iter"
	"sort"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/guardmemo"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// Read implements [eventstore.Store].
func (s *Store) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		if err := s.read(ctx, q, opts, yield); err != nil {
			yield(eventstore.Event{}, err)
		}
	}
}

// read yields the events of Read and returns the error with which Read ends, if any.
func (s *Store) read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions, yield func(eventstore.Event, error) bool) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := eventstore.ValidateRead(q, opts); err != nil {
		return err
	}
	w, err := s.reader.window(q, opts)
	if err != nil {
		return err
	}
	left := opts.Limit // never 0 after the decrement if there is no limit
	scan := s.reader.scan(q, w)
	scan.borrow()
	defer scan.giveBack()
	for !scan.done {
		limit := logfile.PageEvents
		if opts.Limit > 0 {
			limit = min(limit, left)
		}
		pageErr := scan.page(limit) // records found before the error are yielded first
		for i := range scan.found {
			if err := s.usable(ctx); err != nil {
				return err
			}
			if !opts.AsOf.IsZero() && scan.found[i].Event.Recorded.After(opts.AsOf) {
				continue // the window was extended over records that could not be read
			}
			if !yield(scan.found[i].Event, nil) {
				return nil
			}
			if left--; left == 0 {
				return nil
			}
		}
		if pageErr != nil {
			return pageErr
		}
		if err := s.usable(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reader answers questions from the durable log: from the index if it can be used, and
// otherwise from the log. It is safe for concurrent use by multiple goroutines.
type reader struct {
	*disk
	tail    *tail
	index   *indexKeeper
	guards  guardmemo.Memo
	stopped <-chan struct{} // closed when the writer has ended
}

// scan returns the scan of a window.
func (r *reader) scan(q eventstore.Query, w window) *scan { return newScan(r.disk, r.index, q, w) }

// identities returns the scan of a window that reads the records without payload and
// metadata, which may be damaged.
func (r *reader) identities(q eventstore.Query, w window) *scan {
	sc := r.scan(q, w)
	sc.matcher.IdentityOnly = true
	return sc
}

// identity returns the record at p without payload and metadata, which may be damaged.
func (r *reader) identity(records *logfile.Reader, p eventstore.Position) (record.Record, error) {
	rec, err := records.At(p)
	if err != nil {
		return record.Record{}, err
	}
	return record.DecodeIdentity(r.seed, p, rec)
}

// window is a range of positions, both ends included, and a direction. It is empty if from
// is greater than to.
type window struct {
	from, to eventstore.Position
	backward bool
}

// window returns the positions to read, none beyond the head.
func (r *reader) window(q eventstore.Query, opts eventstore.ReadOptions) (window, error) {
	w := window{from: max(opts.From, 1), to: r.tail.last().through, backward: opts.Backward}
	if opts.To > 0 {
		w.to = min(w.to, opts.To)
	}
	if !opts.AsOf.IsZero() && w.from <= w.to {
		asOf, err := r.asOf(opts.AsOf, w.to)
		if err != nil {
			return window{}, err
		}
		w.to = asOf
	}
	stream, _ := q.OneStream() // of FromVersion and ToVersion, as it was validated
	if opts.ToVersion > 0 && w.from <= w.to {
		if opts.ToVersion < opts.FromVersion {
			return window{from: 1}, nil
		}
		last, err := r.fromVersion(stream, opts.ToVersion, w.to)
		if err != nil {
			return window{}, err
		}
		if last > 0 {
			w.to = last
		}
	}
	if opts.FromVersion > 1 && w.from <= w.to {
		first, err := r.fromVersion(stream, opts.FromVersion, w.to)
		if err != nil {
			return window{}, err
		}
		if w.from = max(w.from, first); first == 0 {
			return window{from: 1}, nil
		}
	}
	return w, nil
}

// fromVersion returns the position, at most head, of version v of a stream; 0 if the stream
// ends before v. If v was lost, the error matches ErrCorrupt.
func (r *reader) fromVersion(stream eventstore.StreamID, v eventstore.Version, head eventstore.Position) (p eventstore.Position, err error) {
	var unknown eventstore.Position
	var newest eventstore.Version
	indexed, err := r.index.ask(head, func(reader *index.Reader) {
		if p = reader.At(stream, v); p == 0 {
			var last eventstore.Position
			last, newest = reader.Head(stream)
			unknown = reader.Unknown(last)
		}
	})
	switch {
	case err != nil || indexed && p > 0:
		return p, err
	case indexed && newest < v:
		return 0, mayBe(unknown, "of stream", string(stream))
	}
	whole := r.identities(eventstore.Stream(stream), window{from: 1, to: head})
	p, _, err = whole.first(func(r *record.Record) bool { return r.Event.Version >= v })
	return p, err
}

// asOf returns the last position up to head that was recorded at t or before, or 0. Recorded
// times do not decrease, so a binary search finds it. Records that cannot be read, after that
// position, may have been recorded by then: they count, so that the scan meets them.
func (r *reader) asOf(t time.Time, head eventstore.Position) (eventstore.Position, error) {
	var later int
	err := r.readTx(func(tx *pages.Tx) (err error) {
		log := tx.Bucket(logfile.LogBucket)
		later = sort.Search(int(head), func(i int) bool {
			return recordedBy(log, r.seed, eventstore.Position(i)+1).After(t)
		})
		return nil
	})
	return eventstore.Position(later), err
}

// recordedBy returns the time at which the last whole record up to p was recorded, or the zero
// time if there is none.
func recordedBy(log *pages.Tree, seed record.Seed, p eventstore.Position) time.Time {
	cursor := log.Cursor()
	want := record.Key(p)
	key, value := cursor.Seek(want[:])
	if key == nil {
		key, value = cursor.Last()
	}
	for ; key != nil; key, value = cursor.Prev() {
		v, _ := logfile.ParseValue(key, value) // has no records if it cannot be parsed
		for at := min(v.Last, p); at > 0 && v.Has(at); at-- {
			if r, err := record.DecodeIdentity(seed, at, v.At(at)); err == nil {
				return r.Event.Recorded
			}
		}
	}
	return time.Time{}
}

// version returns the version of a stream as of a head, 0 if it has no events.
func (r *reader) version(stream eventstore.StreamID, head eventstore.Position) (v eventstore.Version, err error) {
	if !r.index.down.Load() {
		if _, v, known := r.index.current.Load().Snapshot().Head(stream, head); known {
			return v, nil
		}
	}
	var unknown eventstore.Position
	indexed, err := r.index.ask(head, func(reader *index.Reader) {
		var last eventstore.Position
		last, v = reader.Head(stream)
		unknown = reader.Unknown(last)
	})
	if err == nil && indexed {
		return v, mayBe(unknown, "of stream", string(stream))
	}
	if err == nil {
		backward := r.identities(eventstore.Stream(stream), window{from: 1, to: head, backward: true})
		_, last, scanErr := backward.first(func(*record.Record) bool { return true })
		v, err = last.Event.Version, scanErr
	}
	return v, err
}

// mayBe returns the error for an event that could not be read when it was indexed, and so may
// be the one that a caller has not found; nil if its position is 0.
func mayBe(unknown eventstore.Position, what, name string) error {
	if unknown == 0 {
		return nil
	}
	return &eventstore.CorruptError{Position: unknown, Reason: fmt.Sprintf("it cannot be read, and may be %s %q", what, name)}
}

// readDurable is readTx for rows and checkpoints, which the writer changes in place. Readers
// already see a transaction whose meta page is written but not synced, and rows have no
// position by which to leave it out, as events have. So readDurable returns only when the
// transaction that it has read is durable, at most one sync later.
func (r *reader) readDurable(ctx context.Context, fn func(*pages.Tx) error) error {
	if r.badRows != nil {
		return r.badRows
	}
	var seen int64
	err := r.readTx(func(tx *pages.Tx) error {
		seen = int64(tx.ID())
		return fn(tx)
	})
	r.tail.waiting.Add(1)
	defer r.tail.waiting.Add(-1)
	for err == nil {
		last := r.tail.last()
		if r.durableTx.Load() >= seen {
			return nil
		}
		select {
		case <-last.ready:
		case <-r.failure:
			return fmt.Errorf("read rows: %w", eventstore.ErrFailed)
		case <-r.stopped:
			return eventstore.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}
