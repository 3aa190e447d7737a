package index

import (
	"bytes"
	"container/heap"
	"fmt"

	"github.com/yore-es/yore/internal/pages"
)

// A merge iterates over the postings of several runs in the order of terms and
// positions. The runs' positions do not overlap, so it is enough to order whole
// pieces. It copies blocks in short transactions and iterates with none open.
//
//	for !m.done() {
//		err := file.ReadTx(m.fill)
//		for piece := m.next(); piece != nil; piece = m.next() {
//			// piece.at, and then piece.step and piece.at
//		}
//	}
type merge struct {
	ready mergeHeap    // stand at a piece
	dry   []*runReader // need more blocks
	last  *runReader   // the reader of the piece that next returned
	bad   []error      // damage; the rest of a damaged run is left out
}

// runReader iterates over the pieces of a run.
type runReader struct {
	number int // of the run, in the order of positions
	run    *run
	from   []byte // where the blocks that are not copied yet begin
	ended  bool   // no blocks are left
	blocks [][]byte
	piece  pieceReader
}

const fillBytes = 64 << 10 // of blocks, copied at a time for a run

func newMerge(runs manifest) *merge {
	m := &merge{}
	for i, r := range runs {
		m.dry = append(m.dry, &runReader{number: i, run: r})
	}
	return m
}

// done reports whether the merge has returned all pieces.
func (m *merge) done() bool { return len(m.ready) == 0 && len(m.dry) == 0 && m.last == nil }

// fill copies the blocks that are needed next.
func (m *merge) fill(tx *pages.Tx) error {
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

// place puts a reader into ready, dry or neither, once its piece is done.
func (m *merge) place(r *runReader) {
	for !r.piece.next() {
		if r.piece.broken {
			m.bad = append(m.bad, fmt.Errorf("%w: run %d has a malformed block", ErrUnusable, r.run.id))
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

// next returns the next piece, at its first posting. It returns nil when fill must
// be called or the merge is done.
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
func (r *runReader) fill(c *pages.Cursor) error {
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

// mergeHeap orders readers by the terms of their pieces, and then by position.
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
