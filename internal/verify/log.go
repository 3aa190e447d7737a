package verify

import (
	"bytes"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// checkLog checks every record up to the head, and notes the entries that the index must
// have.
func (v *verifier) checkLog() error {
	w := &logWalk{v: v, next: 1, chained: true}
	for !w.done {
		w.entries = w.entries[:0]
		damage, err := v.page(w.page)
		if err != nil {
			return err
		}
		if damage != nil {
			if err := w.leap(damage); err != nil {
				return err
			}
		}
		if err := v.checkEntries(w.entries); err != nil {
			return err
		}
		if v.opts.Progress != nil {
			v.opts.Progress(w.next-1, v.result.Head)
		}
	}
	if last := w.previous.Place; w.known && last.I+1 < last.N {
		v.add(BrokenCommit, v.result.Head, "the log ends with event %d of a commit of %d", last.I, last.N)
	}
	return nil
}

// logWalk walks over the log's bucket. Its state remains valid when a page ends in a panic.
type logWalk struct {
	v        *verifier
	from     []byte              // the key at which the next page begins; nil: the first
	next     eventstore.Position // the next position
	done     bool
	previous record.Record // the record at next-1, if known is true
	known    bool
	contract record.Contract
	chain    record.Chain  // up to next-1
	chained  bool          // whether chain is known
	entries  []index.Entry // what the index must have for the records of the page
}

// page checks the next page of records.
func (w *logWalk) page(tx *pages.Tx) error {
	log := tx.Bucket(logfile.LogBucket)
	if log == nil {
		w.miss(tx, w.v.result.Head+1)
		w.done = true
		return nil
	}
	cursor := log.Cursor()
	size := 0
	for key, value := cursor.Seek(w.from); len(w.entries) < verifyEvents && size < logfile.PageBytes; key, value = cursor.Next() {
		p, ok := record.ParseKey(key)
		if key == nil || ok && p > w.v.result.Head {
			if end := record.Key(w.v.result.Head); w.next <= w.v.result.Head && log.Get(end[:]) != nil {
				return fmt.Errorf("the log does not lead to position %d, and does not end there", w.next)
			}
			w.miss(tx, w.v.result.Head+1)
			w.done = true
			return nil
		}
		switch {
		case len(key) > 1<<10:
			return fmt.Errorf("a key of %d bytes follows position %d", len(key), w.next-1)
		case !ok || p < w.next:
			w.v.add(StrayRecord, 0, "the log has the key %x, which is not a position in it", key[:min(len(key), 32)])
			w.v.damaged++ // it may hide the next record from readers
		default:
			w.checkValue(tx, p, key, value)
			if !bytes.Equal(log.Get(key), value) {
				w.v.add(DamagedPage, p, "a search in the log does not find the record, which is there")
			}
		}
		w.from = append(append(w.from[:0], key...), 0)
		size += len(value)
	}
	return nil
}

// miss reports that the positions from next up to p, p not included, have no record.
func (w *logWalk) miss(tx *pages.Tx, p eventstore.Position) {
	if p <= w.next {
		return
	}
	// Salvage has counted the records before and after a hole as neighbours.
	chained := w.chained && logfile.InHole(tx, w.v.store.Seed, w.next) && logfile.InHole(tx, w.v.store.Seed, p-1)
	w.v.add(MissingRecord, w.next, "%s no record", positionsText(w.next, p-1, "has", "have"))
	w.skip(p)
	w.chained = chained
}

// skip continues at p; the record before it is not known.
func (w *logWalk) skip(p eventstore.Position) {
	w.v.damaged += int(p - w.next)
	w.next, w.known, w.chained = p, false, false
}

// checkValue checks the value under the key of p, which is at least next.
func (w *logWalk) checkValue(tx *pages.Tx, p eventstore.Position, key, value []byte) {
	v, err := logfile.ParseValue(key, value)
	if err != nil {
		w.v.add(DamagedRecord, w.next, "%s in a damaged pack, or missing: %s", positionsText(w.next, p, "is", "are"), reasonOf(err))
		w.skip(p + 1)
		return
	}
	if v.First < w.next && w.known {
		w.v.add(StrayRecord, v.First, "%s in two values of the log", positionsText(v.First, w.next-1, "is", "are"))
	}
	w.miss(tx, v.First)
	for q, rec := range v.All() {
		if q >= w.next {
			w.check(q, rec)
		}
	}
}

// check checks the record at p, which is next. If only the content of the record is damaged,
// its identity is checked all the same.
func (w *logWalk) check(p eventstore.Position, value []byte) {
	r, err := record.Decode(w.v.store.Seed, p, value)
	if err != nil {
		w.v.add(DamagedRecord, p, "%s", reasonOf(err))
		if r, err = record.DecodeIdentity(w.v.store.Seed, p, value); err != nil {
			w.skip(p + 1)
			return
		}
	} else {
		w.v.result.Events++
	}
	before := w.v.count()
	w.checkPlace(&r)
	w.checkChain(&r)
	e := &r.Event
	if (e.Stream == "") != (e.Version == 0) {
		w.v.add(BrokenStream, p, "version %d of stream %q", e.Version, e.Stream)
	}
	if broken := w.contract.Check(&r); broken != "" && w.v.count() == before {
		w.v.add(InvalidRecord, p, "%s", broken)
	}
	w.entries = append(w.entries, logfile.IndexEntry(&r))
	w.next, w.previous, w.known = p+1, r, true
}

// checkChain compares the running checksum with the one that the record says. The first
// difference is reported.
func (w *logWalk) checkChain(r *record.Record) {
	if r.Last() {
		if w.chained && r.Before != w.chain {
			w.v.add(BrokenChain, r.Event.Position, "the running checksum before it is %08x, the record says %08x: some event before it is not the one that it followed",
				w.chain, r.Before)
		}
		w.chain, w.chained = r.Before, true
	}
	w.chain = r.Chain(w.chain)
}

// checkPlace checks the record's place in its commit, and its time.
func (w *logWalk) checkPlace(r *record.Record) {
	p, place := r.Event.Position, r.Place
	if r.Key != "" && place.I > 0 {
		w.v.add(BrokenCommit, p, "event %d of a commit has the commit's key", place.I)
	}
	if !w.known {
		if p == 1 && place.I > 0 {
			w.v.add(BrokenCommit, p, "the log begins with event %d of a commit of %d", place.I, place.N)
		}
		return
	}
	last := w.previous.Place
	recorded := w.previous.Event.Recorded
	inside := last.I+1 < last.N
	switch {
	case inside && (place.I != last.I+1 || place.N != last.N):
		w.v.add(BrokenCommit, p, "event %d of a commit of %d follows event %d of a commit of %d", place.I, place.N, last.I, last.N)
	case !inside && place.I != 0:
		w.v.add(BrokenCommit, p, "event %d of a commit of %d follows the end of another", place.I, place.N)
	case inside && !r.Event.Recorded.Equal(recorded):
		w.v.add(BrokenCommit, p, "recorded at %v, others of its commit at %v", r.Event.Recorded, recorded)
	case r.Event.Recorded.Before(recorded):
		w.v.add(DecreasingTime, p, "recorded at %v, the event before it at %v", r.Event.Recorded, recorded)
	}
}

// leap continues after a page that cannot be read and that has records at next or later. It
// finds the first readable position by doubling steps, and then by halving the last one.
func (w *logWalk) leap(damage error) error {
	head := w.v.result.Head
	start := record.Key(w.next)
	if !bytes.Equal(w.from, start[:]) { // the page that cannot be read may be before next
		w.v.add(DamagedPage, w.next, "a page before position %d cannot be read: %v", w.next, damage)
		w.from = append(w.from[:0], start[:]...)
		return nil
	}
	bad, step := w.next, eventstore.Position(1)
	good := head + 1
	for bad+step <= head {
		ok, err := w.readable(bad + step)
		if err != nil {
			return err
		}
		if ok {
			good = bad + step
			break
		}
		bad += step
		step *= 2
	}
	for good-bad > 1 {
		middle := bad + (good-bad)/2
		ok, err := w.readable(middle)
		if err != nil {
			return err
		}
		if ok {
			good = middle
		} else {
			bad = middle
		}
	}
	w.v.add(DamagedPage, w.next, "%s: %v", positionsText(w.next, good-1, "cannot be read", "cannot be read"), damage)
	w.skip(good)
	key := record.Key(good)
	w.from = append(w.from[:0], key[:]...)
	w.done = good > head
	return nil
}

// readable reports whether the log can be read at p.
func (w *logWalk) readable(p eventstore.Position) (bool, error) {
	damage, err := w.v.page(func(tx *pages.Tx) error {
		log := tx.Bucket(logfile.LogBucket)
		if log == nil {
			return logfile.Missing(p)
		}
		rec, err := logfile.NewReader(log).At(p)
		_ = bytes.Clone(rec) // touches all of it
		return err
	})
	return damage == nil, err
}

// positionsText returns a text such as "position 3 has" or "positions 3 to 5 have".
func positionsText(from, to eventstore.Position, one, many string) string {
	if from == to {
		return fmt.Sprintf("position %d %s", from, one)
	}
	return fmt.Sprintf("positions %d to %d %s", from, to, many)
}
