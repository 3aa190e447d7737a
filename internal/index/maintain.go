package index

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/yore-es/yore/internal/pages"
)

// The index is maintained in steps. A table that is full is frozen, and sorted into
// a new run while the next table fills, so that the writer of the log does not wait.
// A run is written to the file in slices of bounded size, each in a transaction that
// the log is written with anyway. The last slice has the status that lists the run;
// until then no reader looks at it. Runs of about the same size that lie side by
// side are merged into one in the same way. The merged runs are deleted afterwards,
// also in slices.
//
// A crash at any moment leaves the index as the status lists it, and perhaps keys of
// runs that it does not list. Open finds these and Maintain deletes them.

const (
	fanOut     = 8         // runs of one level that are merged into one of the next
	runEvents  = 1 << 17   // most events of a run of level 0
	sliceBytes = 512 << 10 // of blocks, in one transaction
	sliceKeys  = 512       // deleted in one transaction
)

// Slice is a change of the index by one transaction.
type Slice struct {
	pairs  []byte // of keys and values: both sizes (4 bytes each), key, value
	status []byte // nil: unchanged
	sweep  uint64 // a run to delete keys of; 0: none
	swept  bool   // the last keys of the run were deleted
}

// Size returns about how many bytes the slice writes.
func (s *Slice) Size() int { return len(s.pairs) }

// Apply makes the changes.
func (s *Slice) Apply(tx *pages.WriteTx) error {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return errNone
	}
	b.Fill(1) // keys are appended, and none is inserted later
	for rest := s.pairs; len(rest) > 0; {
		key := rest[8:][:binary.BigEndian.Uint32(rest)]
		value := rest[8+len(key):][:binary.BigEndian.Uint32(rest[4:])]
		if err := b.Put(key, value); err != nil {
			return err
		}
		rest = rest[8+len(key)+len(value):]
	}
	if s.sweep != 0 {
		if err := s.delete(b); err != nil {
			return err
		}
	}
	if s.status != nil {
		return b.Put(statusKey, s.status)
	}
	return nil
}

// delete deletes the next keys of the run.
func (s *Slice) delete(b *pages.WriteBucket) error {
	prefix := runKey(s.sweep)
	var keys [][]byte
	c := b.Before().Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && len(keys) < sliceKeys; key, _ = c.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	s.swept = len(keys) < sliceKeys
	return nil
}

func (s *Slice) put(key, value []byte) {
	s.pairs = binary.BigEndian.AppendUint32(s.pairs, uint32(len(key)))
	s.pairs = binary.BigEndian.AppendUint32(s.pairs, uint32(len(value)))
	s.pairs = append(append(s.pairs, key...), value...)
}

// File is how the index reads and writes the file.
type File interface {
	// ReadTx runs fn in a short transaction.
	ReadTx(fn func(*pages.Tx) error) error
	// Write applies the slice in a transaction and returns when it is durable. An
	// error means that nothing of the slice is in the file. Write must not keep the
	// slice.
	Write(s *Slice) error
}

// Maintain writes the frozen tables, merges runs and deletes the runs that are no
// longer used, until nothing is left to do. After an error, which is one of the
// file's or ErrUnusable, the index can still be used, and Maintain may be called
// again.
func (x *Index) Maintain(file File) error {
	for {
		did, err := x.maintain(file)
		if err != nil || !did {
			return err
		}
	}
}

// Save writes all postings that are held in memory and does nothing else.
func (x *Index) Save(file File) error {
	x.Freeze(true)
	for v := x.current.Load(); len(v.tables) > 1; v = x.current.Load() {
		if err := x.flush(file, v); err != nil {
			return err
		}
	}
	return nil
}

// maintain does the most urgent step. It returns false if there is none.
func (x *Index) maintain(file File) (bool, error) {
	v := x.current.Load()
	if len(v.tables) > 1 {
		return true, x.flush(file, v)
	}
	if start := mergeable(v.runs); start >= 0 {
		return true, x.merge(file, v, start)
	}
	if len(x.stale) > 0 && !x.pinned() {
		return true, x.sweep(file)
	}
	return false, nil
}

// runWriter writes a run.
type runWriter struct {
	file    File
	created uint64 // of the snapshot
	run     *run
	filter  filter
	blocks  blockWriter
	slice   Slice
	unknown bool // the run has events that could not be read
}

// newRun begins a run of at most terms terms.
func (x *Index) newRun(file File, r *run, terms uint64) *runWriter {
	r.id, r.seed = x.next, x.seed
	x.next++
	w := &runWriter{file: file, created: x.current.Load().created, run: r, filter: newFilter(terms)}
	w.blocks = blockWriter{seed: x.seed, run: r.id, emit: w.emit}
	return w
}

// emit adds a key to the slice, and writes the slice when it is large.
func (w *runWriter) emit(key, value []byte) error {
	w.slice.put(key, value)
	if w.slice.Size() < sliceBytes {
		return nil
	}
	return w.write()
}

func (w *runWriter) write() error {
	err := w.file.Write(&w.slice)
	w.slice.pairs = w.slice.pairs[:0]
	return err
}

func (w *runWriter) add(term []byte, p posting) error {
	w.run.postings++
	if w.run.postings == 1 || !bytes.Equal(term, w.blocks.term) {
		w.run.terms++
		w.filter.add(fingerprint(term))
		w.unknown = w.unknown || term[0] == kindUnknown
	}
	return w.blocks.add(term, p)
}

// finish writes the rest of the run and the status of the manifest that in returns,
// which lists the run.
func (w *runWriter) finish(in func(*run) manifest) (manifest, []byte, error) {
	if err := w.blocks.close(); err != nil {
		return nil, nil, err
	}
	r := w.run
	r.blocks, r.size = uint64(w.blocks.blocks), uint64(len(w.filter))
	if err := w.filter.emit(r.seed, r.id, w.emit); err != nil {
		return nil, nil, err
	}
	r.filter.Store(&w.filter)
	r.unknown = w.unknown
	runs := in(r)
	w.slice.status = runs.status(r.seed, w.created)
	return runs, w.slice.status, w.write()
}

// abandon marks an unfinished run for deletion.
func (x *Index) abandon(w *runWriter, err error) error {
	x.stale = append(x.stale, w.run.id)
	return err
}

// flush writes the first table as a run.
func (x *Index) flush(file File, v *Snapshot) error {
	t := v.tables[0]
	made := &run{from: t.first, through: t.last}
	for events := made.through + 1 - made.from; events > runEvents; events /= fanOut {
		made.level++
	}
	w := x.newRun(file, made, uint64(len(t.terms)))
	if err := t.walk(w.add); err != nil {
		return x.abandon(w, err)
	}
	runs, status, err := w.finish(func(r *run) manifest { return append(v.runs[:len(v.runs):len(v.runs)], r) })
	if err != nil {
		return x.abandon(w, err)
	}
	x.replaceRuns(runs, status, 1)
	return nil
}

// mergeable returns the index of the first of fanOut runs to merge, or -1.
func mergeable(runs manifest) int {
	for start := 0; start+fanOut <= len(runs); start++ {
		if runs[start].level == runs[start+fanOut-1].level {
			return start
		}
	}
	return -1
}

// merge merges fanOut runs, from index start on, into one.
func (x *Index) merge(file File, v *Snapshot, start int) error {
	old := v.runs[start:][:fanOut]
	made := &run{level: old[0].level + 1, from: old[0].from, through: old[fanOut-1].through}
	var terms uint64
	for _, r := range old {
		terms += r.terms
	}
	w := x.newRun(file, made, terms)
	m := newMerge(old)
	for !m.done() {
		if err := file.ReadTx(m.fill); err != nil {
			return x.abandon(w, err)
		}
		for piece := m.next(); piece != nil; piece = m.next() {
			for more := true; more; more = piece.step() {
				if err := w.add(piece.term, piece.at); err != nil {
					return x.abandon(w, err)
				}
			}
			if piece.broken {
				return x.abandon(w, fmt.Errorf("%w: a block with a correct checksum is malformed", ErrUnusable))
			}
		}
	}
	if len(m.bad) > 0 {
		return x.abandon(w, m.bad[0])
	}
	runs, status, err := w.finish(func(r *run) manifest {
		merged := append(manifest(nil), v.runs[:start]...)
		return append(append(merged, r), v.runs[start+fanOut:]...)
	})
	if err != nil {
		return x.abandon(w, err)
	}
	x.replaceRuns(runs, status, 0)
	for _, r := range old {
		x.stale = append(x.stale, r.id)
	}
	return nil
}

// sweep deletes some keys of the first stale run.
func (x *Index) sweep(file File) error {
	s := Slice{sweep: x.stale[0]}
	if err := file.Write(&s); err != nil {
		return err
	}
	if s.swept {
		x.stale = x.stale[1:]
	}
	return nil
}
