package index

import (
	"bytes"
	"container/heap"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A merge goes over the postings of several runs in the order of terms and
// positions. Since each run has positions of its own, pieces of lists are all
// that has to be put in order. It copies blocks in short transactions, and goes
// over them with none open.
//
//	for !m.done() {
//		err := view(m.fill)
//		for piece := m.next(); piece != nil; piece = m.next() {
//			// piece.at, and then piece.step and piece.at
//		}
//	}
type merge struct {
	ready mergeHeap    // those that stand on a piece
	dry   []*runReader // those that have to be filled
	last  *runReader   // whose piece next returned
	bad   []error      // damage; the rest of the run concerned is left out
}

// runReader goes over the pieces of a run.
type runReader struct {
	number int // in the order of positions
	run    *run
	from   []byte // where the blocks that are not filled in begin
	ended  bool   // there are none
	blocks [][]byte
	piece  pieceReader
}

const fillBytes = 64 << 10 // of blocks, copied for a run at a time

func newMerge(runs manifest) *merge {
	m := &merge{}
	for i, r := range runs {
		m.dry = append(m.dry, &runReader{number: i, run: r})
	}
	return m
}

// done reports whether there is nothing more.
func (m *merge) done() bool { return len(m.ready) == 0 && len(m.dry) == 0 && m.last == nil }

// fill reads what is needed to go on.
func (m *merge) fill(tx *bolt.Tx) error {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return errNone
	}
	for len(m.dry) > 0 {
		r := m.dry[len(m.dry)-1]
		if err := r.fill(b.Cursor()); err != nil {
			m.bad = append(m.bad, err)
			r.ended = true
		}
		m.dry = m.dry[:len(m.dry)-1]
		m.place(r)
	}
	return nil
}

// place puts a run where it belongs once its piece is done with.
func (m *merge) place(r *runReader) {
	for !r.piece.next() {
		if r.piece.broken {
			m.bad = append(m.bad, fmt.Errorf("%w: run %d has a block that is none", ErrUnusable, r.run.id))
			return
		}
		if len(r.blocks) == 0 {
			if !r.ended {
				m.dry = append(m.dry, r)
			}
			return
		}
		r.piece = pieceReader{rest: r.blocks[0], run: r.run}
		r.blocks = r.blocks[1:]
	}
	heap.Push(&m.ready, r)
}

// next returns the next piece, standing on its first posting, or nil when fill has
// to be called, or all is done.
func (m *merge) next() *pieceReader {
	if m.last != nil {
		m.place(m.last)
		m.last = nil
	}
	if len(m.dry) > 0 || len(m.ready) == 0 {
		return nil
	}
	m.last = heap.Pop(&m.ready).(*runReader)
	return &m.last.piece
}

// fill copies the run's next blocks.
func (r *runReader) fill(c *bolt.Cursor) error {
	for size := 0; size < fillBytes && !r.ended; {
		found, ok := r.run.blockOf(c, r.from)
		if !ok || !bytes.Equal(found.begin, r.from) {
			return fmt.Errorf("%w: damaged in run %d, at %s", ErrUnusable, r.run.id, describe(r.from))
		}
		r.blocks = append(r.blocks, bytes.Clone(found.pieces))
		size += len(found.pieces)
		r.from = bytes.Clone(found.end)
		r.ended = len(r.from) == 0
	}
	return nil
}

// mergeHeap has the run first whose term comes first, and of those with the same
// term the one with the earliest positions.
type mergeHeap []*runReader

func (h mergeHeap) Len() int { return len(h) }

func (h mergeHeap) Less(i, j int) bool {
	order := bytes.Compare(h[i].piece.term, h[j].piece.term)
	return order < 0 || order == 0 && h[i].number < h[j].number
}

func (h mergeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *mergeHeap) Push(x any) { *h = append(*h, x.(*runReader)) }

func (h *mergeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
