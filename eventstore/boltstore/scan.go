package boltstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// pageSteps bounds the steps through the index, or the records skipped, in one page.
const pageSteps = 16_384

// scan reads the records that match a query, in pages. Each page is one short transaction;
// nothing is held between pages. The log grows only at its end and the window has a fixed
// end, so all pages together are one snapshot. It is not safe for concurrent use.
type scan struct {
	disk    *disk
	index   *indexKeeper
	query   eventstore.Query
	matcher record.Matcher
	window  // what is left
	streams streamCheck
	doubt   error // of a record that cannot be read and may match, if no match has come after it
	hole    error // of a position that was left without a record, if no match has come after it

	ahead logfile.ReadAhead

	named []eventstore.Position // of the page, from the index
	found []record.Record       // the page
	most  int                   // the most records of an earlier page
	buf   *[]record.Record      // borrowed for found
	bytes int                   // of payload in the page
	done  bool                  // there are no more pages
}

// newScan returns the scan of a window.
func newScan(d *disk, x *indexKeeper, q eventstore.Query, w window) *scan {
	sc := &scan{disk: d, index: x, query: q, matcher: record.Matcher{Seed: d.seed, Query: q}, window: w, done: w.from > w.to}
	sc.ahead = logfile.NewReadAhead(d.file.OS, d.readOnly)
	sc.streams.begin(q, w)
	return sc
}

// pageBuffers are buffers for the records of a page. A page takes more memory than most reads
// return, so without reuse small reads would leave much garbage.
var pageBuffers = sync.Pool{New: func() any { return new([]record.Record) }}

// borrow takes a buffer from the pool.
func (sc *scan) borrow() {
	sc.buf = pageBuffers.Get().(*[]record.Record)
	sc.found = *sc.buf
}

// giveBack returns the buffer to the pool. The scan must not be used afterwards.
func (sc *scan) giveBack() {
	clear(sc.found[:max(sc.most, len(sc.found))])
	*sc.buf = sc.found[:0]
	pageBuffers.Put(sc.buf)
}

// first returns the first wanted record of the rest of the scan, and its position; zeros if
// there is none.
func (sc *scan) first(wanted func(*record.Record) bool) (eventstore.Position, record.Record, error) {
	for !sc.done {
		err := sc.page(logfile.PageEvents)
		for i := range sc.found {
			if r := &sc.found[i]; wanted(r) {
				return r.Event.Position, *r, nil
			}
		}
		if err != nil {
			return 0, record.Record{}, err
		}
	}
	return 0, record.Record{}, nil
}

// page replaces found with the next records, at most limit, and narrows the window to what is
// left. If it returns an error, found has the records before it.
func (sc *scan) page(limit int) error {
	err := sc.nextPage(limit)
	if err == nil && sc.done && !sc.streams.complete() {
		err = sc.doubt
	}
	return err
}

func (sc *scan) nextPage(limit int) error {
	sc.most = max(sc.most, len(sc.found))
	sc.found, sc.bytes = sc.found[:0], 0
	if sc.query.IsAll() || sc.index.down.Load() {
		return sc.disk.readTx(func(tx *pages.Tx) error { return sc.walkLog(tx, limit) })
	}
	// The part of the index in memory needs no transaction, and often suffices to know that
	// no record matches.
	x := sc.index.snapshot()
	n, ok := sc.askIndex(limit, func(fn func(*index.Reader)) bool { return x.recall(sc.to, fn) })
	if ok && len(sc.named) == 0 {
		sc.window, sc.done = n.rest, n.done
		return nil
	}
	return sc.disk.readTx(func(tx *pages.Tx) error {
		if !ok {
			n, ok = sc.askIndex(limit, func(fn func(*index.Reader)) bool { return sc.index.lookUp(tx, x, sc.to, fn) })
		}
		if ok {
			return sc.takeNamed(tx, x.index, limit, n)
		}
		return sc.walkLog(tx, limit)
	})
}

// walkLog takes the matching records in the order of the log.
func (sc *scan) walkLog(tx *pages.Tx, limit int) error {
	records := logfile.NewReader(tx.Bucket(logfile.LogBucket))
	start, skipped := sc.next(), 0
	for !sc.done {
		p := sc.next()
		rec, err := records.At(p)
		if err == nil && p == start && limit >= logfile.PageEvents && sc.to-sc.from >= logfile.PageEvents { // a long scan
			sc.ahead.From(tx, rec, sc.backward)
		}
		var r record.Record
		matches := false
		if err == nil {
			r, matches, err = sc.matcher.Decode(p, rec)
		}
		if err != nil {
			if err := sc.noteUnread(tx, p, err); err != nil {
				return err
			}
		}
		if err != nil || !matches {
			sc.pass()
			if skipped++; skipped == pageSteps {
				return nil
			}
			continue
		}
		if problem := sc.streams.check(&r.Event); problem != "" {
			return cmp.Or(sc.doubt, sc.hole, error(&eventstore.CorruptError{Position: p, Reason: problem}))
		}
		if err := sc.proved(); err != nil {
			return err
		}
		if full := sc.take(r, limit); full {
			return nil
		}
	}
	return nil
}

// # A record that cannot be read
//
// Problem. A record whose identity is damaged, or that is missing, may match any query. An
// answer without it may be short, and a condition that holds without it may not hold.
//
// Invariant. A scan ends without an error only if each record of its window that matches has
// been found.
//
// Steps. A scan that meets such a record ends with its error. A scan of one stream goes on:
// if the next event of the stream has the next version, the record was not one of the stream.
// Otherwise, or if the stream has no further event, the scan ends with the error then. Follow
// keeps what it knows of the stream from batch to batch, and no batch ends beyond a record in
// doubt.
//
// A position that Salvage has left without a record holds nothing that could match. Only a
// scan of all events ends there, with an error that tells of the gap.

// doubtful returns the error with which the scan ends at a record that cannot be read, or nil
// if later records may prove that it does not match.
func (sc *scan) doubtful(err error) error {
	if len(sc.query.Items()) == 0 || !sc.streams.single {
		return err
	}
	sc.doubt = cmp.Or(sc.doubt, err)
	return nil
}

// noteUnread is doubtful for a walk of the log, which meets the positions, too, that Salvage
// has left without a record. The index does not have them.
func (sc *scan) noteUnread(tx *pages.Tx, p eventstore.Position, err error) error {
	if sc.query.IsAll() || !logfile.InHole(tx, sc.disk.seed, p) {
		return sc.doubtful(err)
	}
	sc.hole = cmp.Or(sc.hole, err)
	return nil
}

// proved returns the doubt, if there is one that the next event, whose version fits, does not
// end.
func (sc *scan) proved() error {
	if sc.doubt != nil && !sc.streams.follows() {
		return sc.doubt
	}
	sc.doubt, sc.hole = nil, nil
	return nil
}

// names describes the positions that the index has named.
type names struct {
	exact bool   // each of them matches
	rest  window // what is left after them
	done  bool   // nothing is left
}

// askIndex sets named to the positions of the next records that match, or may match. ask
// runs a function with a reader of the index; ok is false if it cannot.
func (sc *scan) askIndex(limit int, ask func(func(*index.Reader)) bool) (n names, ok bool) {
	const few = 16 // some may not match
	limit = max(limit, few)
	var ahead scan
	ok = ask(func(reader *index.Reader) {
		sc.named, ahead = sc.named[:0], scan{window: sc.window}
		walk := reader.Walk(sc.query, sc.from, sc.to, sc.backward)
		for !ahead.done && len(sc.named) < limit && walk.Steps() <= pageSteps {
			p, matched := walk.Seek(ahead.next())
			if p < ahead.from || p > ahead.to { // also 0, nothing found
				ahead.done = true
				break
			}
			ahead.skipTo(p)
			if matched {
				sc.named = append(sc.named, p)
				ahead.pass()
			}
		}
		n.exact = walk.Exact()
	})
	n.rest, n.done = ahead.window, ahead.done
	return n, ok
}

// takeNamed takes the records that the index has named. If a record contradicts the index,
// the records taken before it stand, and askLog continues.
func (sc *scan) takeNamed(tx *pages.Tx, x *index.Index, limit int, n names) error {
	sc.found = slices.Grow(sc.found, min(limit, len(sc.named)))
	records := logfile.NewReader(tx.Bucket(logfile.LogBucket))
	for _, p := range sc.named {
		var r record.Record
		matches := false
		rec, err := records.At(p)
		if err == nil {
			r, matches, err = sc.matcher.Decode(p, rec)
		}
		if err != nil && !n.exact {
			if err := sc.doubtful(err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if !matches {
			if !n.exact {
				continue
			}
			return sc.askLog(tx, x, limit, fmt.Sprintf("it names position %d, whose event does not match", p))
		}
		if problem := sc.streams.check(&r.Event); problem != "" {
			return sc.askLog(tx, x, limit, problem)
		}
		if err := sc.proved(); err != nil {
			return err
		}
		if full := sc.take(r, limit); full {
			return nil
		}
	}
	sc.window, sc.done = n.rest, n.done
	return nil
}

// askLog continues in the log after a contradiction between log and index. If the log can be
// read there, the index is wrong.
func (sc *scan) askLog(tx *pages.Tx, x *index.Index, limit int, problem string) error {
	if len(sc.found) > 0 {
		return nil // return these first; the next page meets the problem again
	}
	err := sc.walkLog(tx, limit)
	if err == nil {
		sc.index.suspect(x, fmt.Errorf("%w: %s", index.ErrUnusable, problem))
	}
	return err
}

// next returns the first position of the window in its direction.
func (sc *scan) next() eventstore.Position {
	if sc.backward {
		return sc.to
	}
	return sc.from
}

// skipTo narrows the window so that it starts at p.
func (sc *scan) skipTo(p eventstore.Position) {
	if sc.backward {
		sc.to = p
	} else {
		sc.from = p
	}
}

// pass narrows the window to the positions after its first one.
func (sc *scan) pass() {
	switch {
	case sc.from == sc.to:
		sc.done = true
	case sc.backward:
		sc.to--
	default:
		sc.from++
	}
}

// take adds a record to the page, unless that would make it too large, and narrows the window
// to the positions after it. It reports whether the page is full.
func (sc *scan) take(r record.Record, limit int) (full bool) {
	sc.skipTo(r.Event.Position)
	if len(sc.found) > 0 && sc.bytes+len(r.Event.Data) > logfile.PageBytes {
		return true
	}
	sc.streams.took(&r.Event)
	sc.found = append(sc.found, r)
	sc.bytes += len(r.Event.Data)
	sc.pass()
	return len(sc.found) >= limit
}

// streamCheck checks that the events of a scan over whole streams have versions without gaps.
type streamCheck struct {
	versions  map[eventstore.StreamID]*eventstore.Version // of each stream's last event in the scan; nil: no check
	single    bool                                        // it is one stream
	fromStart bool
	backward  bool
}

func (c *streamCheck) begin(q eventstore.Query, w window) {
	items := q.Items()
	if len(items) != 1 || len(items[0].Streams) == 0 ||
		len(items[0].Types)+len(items[0].Tags)+len(items[0].Categories) > 0 {
		return
	}
	c.versions = make(map[eventstore.StreamID]*eventstore.Version, len(items[0].Streams))
	c.single = len(items[0].Streams) == 1
	c.fromStart, c.backward = w.from == 1 && !w.backward, w.backward
}

// check returns what is wrong with the version of the next event, or "".
func (c *streamCheck) check(e *eventstore.Event) string {
	latest := c.versions[e.Stream]
	if c.versions == nil || latest == nil && !c.fromStart {
		return ""
	}
	want := eventstore.Version(1)
	switch {
	case latest == nil:
	case c.backward:
		want = *latest - 1
	default:
		want = *latest + 1
	}
	if e.Version == want {
		return ""
	}
	return fmt.Sprintf("stream %q has version %d at position %d where version %d comes next", e.Stream, e.Version, e.Position, want)
}

// follows reports whether no event of a single stream lies between the last event that the
// scan took, or its start, and one whose version fits.
func (c *streamCheck) follows() bool { return c.fromStart || len(c.versions) > 0 }

// complete reports whether a single stream has no event before the last one of a backward
// scan.
func (c *streamCheck) complete() bool {
	if !c.backward {
		return false
	}
	for _, v := range c.versions {
		return *v == 1
	}
	return false
}

func (c *streamCheck) took(e *eventstore.Event) {
	switch latest := c.versions[e.Stream]; {
	case c.versions == nil:
	case latest != nil:
		*latest = e.Version
	default: // the event's name would keep its payload in memory
		v := e.Version
		c.versions[eventstore.StreamID(strings.Clone(string(e.Stream)))] = &v
	}
}
