package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Bucket is the name of the bucket that the index is in.
const Bucket = "index"

// ErrUnusable says that the index is missing, damaged, of another format, or not
// as far as the log. What it would have told is found in the log.
var ErrUnusable = errors.New("the index cannot be used")

// Create makes an empty index where there is none.
func Create(tx *bolt.Tx) error {
	b, err := tx.CreateBucket([]byte(Bucket))
	if err != nil {
		return err
	}
	return b.Put(statusKey, manifest(nil).status(uint64(tx.ID())))
}

// Through returns the position through which the index on disk reaches.
func Through(tx *bolt.Tx) (eventstore.Position, error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return 0, errNone
	}
	runs, _, err := parseManifest(b.Get(statusKey))
	return runs.through(), err
}

var errNone = fmt.Errorf("%w: there is none", ErrUnusable)

// Index is the index of a log that is in use.
//
// Add, Undo and Freeze are for the goroutine that writes the log; Maintain
// and Finish are for one goroutine at a time; all else is safe for concurrent use
// by multiple goroutines.
type Index struct {
	limits  Limits
	current atomic.Pointer[View]

	mu   sync.Mutex // held to replace current, and for pins
	pins int        // runs that are replaced are not deleted while there are any

	next  uint64   // number of the next run; of who maintains
	stale []uint64 // runs to be deleted; of who maintains
}

// View is the index at a moment. A reader needs one from before its transaction
// began: what the file has not got by then is in the view's tables.
type View struct {
	created uint64 // the transaction that created the bucket
	runs    manifest
	status  []byte   // as it lies in the bucket
	tables  []*table // in the order of positions; the last one grows
}

// Limits say when postings that are held in memory are to be written: when they
// take so many bytes, about, or are of so many events. There may be three times as
// many in memory, for one table fills while others are written.
type Limits struct{ Bytes, Events int }

// maxTables is how many tables there are when appends should wait.
const maxTables = 3

// Open returns the index that is in the file, as far as it reaches. What is
// missing to the end of the log is to be added.
func Open(tx *bolt.Tx, limits Limits) (*Index, error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return nil, errNone
	}
	raw := b.Get(statusKey)
	runs, created, err := parseManifest(raw)
	if err != nil {
		return nil, err
	}
	x := &Index{limits: limits}
	if err := x.findStale(b.Cursor(), runs); err != nil {
		return nil, err
	}
	x.current.Store(&View{
		created: created, runs: runs, status: bytes.Clone(raw),
		tables: []*table{newTable(runs.through()+1, tableSize{})},
	})
	return x, nil
}

// findStale finds the runs of which there is something in the bucket that are not
// in the manifest.
func (x *Index) findStale(c *bolt.Cursor, runs manifest) error {
	var id uint64
	for key, _ := c.Seek(runKey(1)); key != nil; key, _ = c.Seek(runKey(id + 1)) {
		if len(key) < 8 || binary.BigEndian.Uint64(key) <= id || binary.BigEndian.Uint64(key) == math.MaxUint64 {
			return fmt.Errorf("%w: damaged at key %x", ErrUnusable, key[:min(len(key), 32)])
		}
		if id = binary.BigEndian.Uint64(key); runs.find(id) == nil {
			x.stale = append(x.stale, id)
		}
	}
	x.next = id + 1
	for _, r := range runs {
		x.next = max(x.next, r.id+1)
	}
	return nil
}

// Through returns the position through which the index reaches.
func (x *Index) Through() eventstore.Position {
	v := x.current.Load()
	return v.tables[len(v.tables)-1].through()
}

// Saved returns the position through which the index on disk reaches.
func (x *Index) Saved() eventstore.Position { return x.current.Load().runs.through() }

// active returns the table that grows.
func (x *Index) active() *table {
	v := x.current.Load()
	return v.tables[len(v.tables)-1]
}

// Add adds the n events that come next in the log. A reader that looks no further
// than the head that it knows does not see them before they are durable.
func (x *Index) Add(n int, entry func(i int) Entry) { x.active().add(n, entry) }

// Undo takes back what the last Add added.
func (x *Index) Undo(n int, entry func(i int) Entry) { x.active().undo(n, entry) }

// Full reports whether the table that grows should be written.
func (x *Index) Full() bool {
	t := x.active()
	return t.through()+1-t.first >= eventstore.Position(x.limits.Events) || t.bytes() >= x.limits.Bytes
}

// Freeze begins a new table, so that Maintain can write the one before, and
// reports whether it has. Unless forced, it lets a table grow until it is full, and
// further while others wait to be written.
func (x *Index) Freeze(force bool) bool {
	v := x.current.Load()
	t := v.tables[len(v.tables)-1]
	if t.through() < t.first || !force && (!x.Full() || len(v.tables) >= maxTables) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	v = x.current.Load()
	x.current.Store(&View{
		created: v.created, runs: v.runs, status: v.status,
		tables: append(v.tables[:len(v.tables):len(v.tables)], newTable(t.last+1, t.size())),
	})
	return true
}

// Waiting reports whether there is something for Maintain to write.
func (x *Index) Waiting() bool { return len(x.current.Load().tables) > 1 }

// Crowded reports whether as many postings are held in memory as should be:
// appends have to wait for Maintain.
func (x *Index) Crowded() bool {
	v := x.current.Load()
	return len(v.tables) >= maxTables && x.Full()
}

// Overflowing reports whether far more is held in memory than should be.
func (x *Index) Overflowing() bool {
	t := x.active()
	return t.bytes() >= 4*max(x.limits.Bytes, 1<<20)
}

// replaceRuns makes a manifest that is on disk the index's, and drops tables from
// the front.
func (x *Index) replaceRuns(runs manifest, status []byte, tables int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := x.current.Load()
	x.current.Store(&View{created: v.created, runs: runs, status: status, tables: v.tables[tables:]})
}

// View returns the index as it is now.
func (x *Index) View() *View { return x.current.Load() }

// Reader returns a reader of the events up to and including last, which must be
// in the view. The transaction must have begun after the view was taken, and the
// reader must not be used after it has ended. Without one, the reader says
// [ErrNeedsFile] when it would need one.
func (v *View) Reader(tx *bolt.Tx, last eventstore.Position) (*Reader, error) {
	r := &Reader{last: last, runs: v.runs, tables: v.tables}
	if tx != nil {
		if r.bucket = tx.Bucket([]byte(Bucket)); r.bucket == nil {
			return nil, errNone
		}
		if raw := r.bucket.Get(statusKey); !bytes.Equal(raw, v.status) {
			runs, created, err := parseManifest(raw)
			if err == nil && created != v.created {
				err = fmt.Errorf("%w: it was made anew meanwhile", ErrUnusable)
			}
			if err != nil {
				return nil, err
			}
			r.runs = runs.adopt(v.runs)
		}
	}
	if through := v.tables[len(v.tables)-1].through(); through < last {
		return nil, fmt.Errorf("%w: it ends at position %d, before %d", ErrUnusable, through, last)
	}
	if through := r.runs.through(); v.tables[0].first > through+1 {
		return nil, fmt.Errorf("%w: it lacks positions %d to %d", ErrUnusable, through+1, v.tables[0].first-1)
	}
	return r, nil
}

// Head returns the position and version of a stream's last event up to a position,
// zeros if there is none, if that can be told from what is in memory.
func (v *View) Head(stream eventstore.StreamID, last eventstore.Position) (p eventstore.Position, version eventstore.Version, known bool) {
	if v.mayHaveUnknown() {
		return 0, 0, false
	}
	for i := len(v.tables) - 1; i >= 0; i-- {
		if head := v.tables[i].before(kindStream, string(stream), last); head.position > 0 {
			return head.position, head.version, true
		}
	}
	if len(v.runs) == 0 {
		return 0, 0, true
	}
	var room [maxTerm]byte
	print := fingerprint(appendTerm(room[:0], kindStream, string(stream)))
	for _, r := range v.runs {
		if r.from <= last && r.mayHave(print) {
			return 0, 0, false
		}
	}
	return 0, 0, true
}

// mayHaveUnknown reports whether there may be events of which nothing is known.
func (v *View) mayHaveUnknown() bool {
	for _, t := range v.tables {
		if t.unknown.Load() {
			return true
		}
	}
	for _, r := range v.runs {
		if r.mayHaveUnknown() {
			return true
		}
	}
	return false
}

// pin keeps the runs of the view from being deleted, until release is called.
func (x *Index) pin() (v *View, release func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pins++
	return x.current.Load(), func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.pins--
	}
}

func (x *Index) pinned() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.pins > 0
}

// Stats are figures of the index.
type Stats struct {
	Runs     int                 // parts on disk
	Postings uint64              // on disk
	Through  eventstore.Position // reached on disk
	Memory   int                 // bytes of postings held in memory
	Filters  int                 // bytes of filters held in memory
}

// Stats returns the figures of the index as it is now.
func (x *Index) Stats() Stats {
	v := x.current.Load()
	s := Stats{Runs: len(v.runs), Through: v.runs.through()}
	for _, r := range v.runs {
		s.Postings += r.postings
		if f := r.filter.Load(); f != nil {
			s.Filters += len(*f)
		}
	}
	for _, t := range v.tables {
		s.Memory += t.bytes()
	}
	return s
}
