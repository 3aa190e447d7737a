package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// Bucket is the name of the index's bucket.
const Bucket = "index"

// ErrUnusable means that the index is missing or damaged, has another format or ends
// before the position asked for. The log has what the index would have answered.
var ErrUnusable = errors.New("the index cannot be used")

// Create creates an empty index of a store. It returns an error if there is one.
func Create(tx *pages.WriteTx, seed record.Seed) error {
	b, err := tx.Root().CreateBucket([]byte(Bucket))
	if err != nil {
		return err
	}
	return b.Put(statusKey, manifest(nil).status(seed, uint64(tx.ID())))
}

// Through returns the last position of the index on disk.
func Through(tx *pages.Tx, seed record.Seed) (eventstore.Position, error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return 0, errNone
	}
	runs, _, err := parseManifest(seed, b.Get(statusKey))
	return runs.through(), err
}

var errNone = fmt.Errorf("%w: there is none", ErrUnusable)

// Index is the index of an open log.
//
// Add, Undo and Freeze must be called by the goroutine that writes the log.
// Maintain, Save and Finish must be called by one goroutine at a time. All other
// methods are safe for concurrent use by multiple goroutines.
type Index struct {
	seed    record.Seed
	limits  Limits
	current atomic.Pointer[Snapshot]

	mu   sync.Mutex // held to replace current, and for pins
	pins int        // while it is not 0, replaced runs are not deleted

	next  uint64   // number of the next run; owned by the goroutine that maintains
	stale []uint64 // runs to delete; owned by the goroutine that maintains
}

// Snapshot is the index at one moment. A reader needs a snapshot that was taken before its
// transaction began, so that the snapshot's tables have what the file lacks.
type Snapshot struct {
	seed    record.Seed
	created uint64 // the transaction that created the bucket
	runs    manifest
	status  []byte   // as in the bucket
	tables  []*table // in the order of positions; the last one grows
}

// Limits bound the postings held in memory: a table is full, and should be written,
// at about Bytes bytes or at Events events. The index holds up to three times as
// much, since one table fills while others are written.
type Limits struct{ Bytes, Events int }

// maxTables is the number of tables at which appends should wait.
const maxTables = 3

// Open returns the index that is in the file. The caller must add the events of the
// log after Through.
func Open(tx *pages.Tx, seed record.Seed, limits Limits) (*Index, error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return nil, errNone
	}
	raw := b.Get(statusKey)
	runs, created, err := parseManifest(seed, raw)
	if err != nil {
		return nil, err
	}
	x := &Index{seed: seed, limits: limits}
	if err := x.findStale(b.Cursor(), runs); err != nil {
		return nil, err
	}
	x.current.Store(&Snapshot{
		seed: seed, created: created, runs: runs, status: bytes.Clone(raw),
		tables: []*table{newTable(runs.through()+1, tableSize{})},
	})
	return x, nil
}

// findStale finds the runs that have keys in the bucket and are not in the manifest.
func (x *Index) findStale(c *pages.Cursor, runs manifest) error {
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

// Through returns the last position of the index.
func (x *Index) Through() eventstore.Position {
	v := x.current.Load()
	return v.tables[len(v.tables)-1].through()
}

// Saved returns the last position of the index on disk.
func (x *Index) Saved() eventstore.Position { return x.current.Load().runs.through() }

// active returns the table to which postings are added.
func (x *Index) active() *table {
	v := x.current.Load()
	return v.tables[len(v.tables)-1]
}

// Add adds the next n events of the log. A reader that looks no further than the
// durable head does not see them until they are durable.
func (x *Index) Add(n int, entry func(i int) Entry) { x.active().add(n, entry) }

// Undo removes what the last Add added.
func (x *Index) Undo(n int, entry func(i int) Entry) { x.active().undo(n, entry) }

// Full reports whether the active table should be written.
func (x *Index) Full() bool {
	t := x.active()
	return t.through()+1-t.first >= eventstore.Position(x.limits.Events) || t.bytes() >= x.limits.Bytes
}

// Freeze begins a new table, so that Maintain can write the active one, and reports
// whether it has. An empty table is not frozen. Unless forced, Freeze does nothing if
// the active table is not full or maxTables are held.
func (x *Index) Freeze(force bool) bool {
	v := x.current.Load()
	t := v.tables[len(v.tables)-1]
	if t.through() < t.first || !force && (!x.Full() || len(v.tables) >= maxTables) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	v = x.current.Load()
	x.current.Store(&Snapshot{
		seed: v.seed, created: v.created, runs: v.runs, status: v.status,
		tables: append(v.tables[:len(v.tables):len(v.tables)], newTable(t.last+1, t.size())),
	})
	return true
}

// Waiting reports whether there is something for Maintain to write.
func (x *Index) Waiting() bool { return len(x.current.Load().tables) > 1 }

// Crowded reports whether the tables are full, so that appends should wait for
// Maintain.
func (x *Index) Crowded() bool {
	v := x.current.Load()
	return len(v.tables) >= maxTables && x.Full()
}

// Overflowing reports whether the active table has grown to four times its limit in
// bytes, and to at least 4 MiB.
func (x *Index) Overflowing() bool {
	t := x.active()
	return t.bytes() >= 4*max(x.limits.Bytes, 1<<20)
}

// replaceRuns makes runs, which are on disk now, the runs of the index, and drops
// the first tables.
func (x *Index) replaceRuns(runs manifest, status []byte, tables int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := x.current.Load()
	x.current.Store(&Snapshot{seed: v.seed, created: v.created, runs: runs, status: status, tables: v.tables[tables:]})
}

// Snapshot returns the index as of now.
func (x *Index) Snapshot() *Snapshot { return x.current.Load() }

// Reader returns a reader of the events up to and including last, which must be in
// the snapshot. The transaction must have begun after the snapshot was taken. The reader
// must not be used after the transaction has ended. If tx is nil, the reader answers
// from memory and otherwise reports [ErrNeedsFile].
func (v *Snapshot) Reader(tx *pages.Tx, last eventstore.Position) (*Reader, error) {
	r := &Reader{last: last, runs: v.runs, tables: v.tables}
	if tx != nil {
		if r.bucket = tx.Bucket([]byte(Bucket)); r.bucket == nil {
			return nil, errNone
		}
		if raw := r.bucket.Get(statusKey); !bytes.Equal(raw, v.status) {
			runs, created, err := parseManifest(v.seed, raw)
			if err == nil && created != v.created {
				err = fmt.Errorf("%w: it was created again meanwhile", ErrUnusable)
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

// Head returns the position and version of a stream's last event up to last, zeros
// if the stream has none. It answers from memory; known is false if the file is
// needed.
func (v *Snapshot) Head(stream eventstore.StreamID, last eventstore.Position) (p eventstore.Position, version eventstore.Version, known bool) {
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

// mayHaveUnknown reports whether the index may have events that could not be read.
func (v *Snapshot) mayHaveUnknown() bool {
	for _, t := range v.tables {
		if t.unknown.Load() {
			return true
		}
	}
	return slices.ContainsFunc(v.runs, func(r *run) bool { return r.unknown })
}

// pin keeps the snapshot's runs in the file until release is called.
func (x *Index) pin() (v *Snapshot, release func()) {
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

// Stats are figures of an index.
type Stats struct {
	Runs     int                 // on disk
	Postings uint64              // on disk
	Through  eventstore.Position // last position on disk
	Memory   int                 // bytes of postings in memory
	Filters  int                 // bytes of filters in memory
}

// Stats returns the index's figures as of now.
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
