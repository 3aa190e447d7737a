package index

import (
	"bytes"
	"encoding/binary"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// A block is about a kilobyte of a run: pieces of lists, in the order of terms and
// positions.
//
//	uvarint and bytes: the end, where the next block begins; empty in a run's last
//	pieces
//	CRC32C over the block's key and all that is before
//
// The key is the run's number (8 bytes) and where the block begins: the term and the
// position (8 bytes) of its first posting. Only a run's first block begins with
// nothing. So the blocks of a run cover all terms and positions, each from its
// beginning up to its end. A search either ends at the block that covers the place
// or finds a block that does not, which shows damage.
//
// A piece is the postings of one term that lie side by side in a block. In a
// stream's list their versions follow each other without a gap.
//
//	uvarint: bytes that the term shares with that of the piece before it
//	uvarint and bytes: the rest of the term
//	uvarint: position of the first posting
//	uvarint: only for a stream: its version
//	uvarint: postings
//	uvarint: bytes of what follows
//	uvarints: for each further posting, its position less the one before
const blockSize = 1000 // bytes with the key, about: four fill a page of 4096

// blockWriter makes blocks of postings that are added in order.
type blockWriter struct {
	seed record.Seed
	run  uint64
	emit func(key, value []byte) error // must not keep its arguments

	begin []byte // where the block begins
	body  []byte // its pieces
	prior []byte // the term of the last piece in body

	term   []byte // of the piece that is being made
	first  posting
	last   posting
	count  uint64
	deltas []byte

	blocks int
	value  []byte // scratch memory
}

// add adds a posting. term is copied.
func (w *blockWriter) add(term []byte, p posting) error {
	if w.count > 0 && bytes.Equal(term, w.term) {
		follows := term[0] != kindStream || p.version == w.last.version+1
		if follows && w.size() < blockSize {
			w.deltas = binary.AppendUvarint(w.deltas, uint64(p.position-w.last.position))
			w.last = p
			w.count++
			return nil
		}
	}
	w.endPiece()
	if len(w.body) > 0 && w.size()+len(term) >= blockSize {
		end := appendPosition(bytes.Clone(term), p.position)
		if err := w.endBlock(end); err != nil {
			return err
		}
		w.begin, w.prior = end, w.prior[:0]
	}
	w.term = append(w.term[:0], term...)
	w.first, w.last, w.count, w.deltas = p, p, 1, w.deltas[:0]
	return nil
}

// size returns a lower bound of the block's size in bytes, its key included.
func (w *blockWriter) size() int {
	const pieceHeader = 8
	return 8 + len(w.begin) + len(w.body) + 2*len(w.term) + pieceHeader + len(w.deltas) + positionSize + sumSize
}

// endPiece adds the piece to the block.
func (w *blockWriter) endPiece() {
	if w.count == 0 {
		return
	}
	shared := commonPrefix(w.prior, w.term)
	b := binary.AppendUvarint(w.body, uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(w.term)-shared))
	b = append(b, w.term[shared:]...)
	b = binary.AppendUvarint(b, uint64(w.first.position))
	if w.term[0] == kindStream {
		b = binary.AppendUvarint(b, uint64(w.first.version))
	}
	b = binary.AppendUvarint(b, w.count)
	b = binary.AppendUvarint(b, uint64(len(w.deltas)))
	w.body = append(b, w.deltas...)
	w.prior = append(w.prior[:0], w.term...)
	w.count, w.deltas = 0, w.deltas[:0]
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// endBlock emits the block, which ends before end.
func (w *blockWriter) endBlock(end []byte) error {
	key := append(runKey(w.run), w.begin...)
	w.value = binary.AppendUvarint(w.value[:0], uint64(len(end)))
	w.value = append(w.value, end...)
	w.value = append(w.value, w.body...)
	w.value = appendSum(w.seed, key, w.value)
	w.body = w.body[:0]
	w.blocks++
	return w.emit(key, w.value)
}

// close emits the last block.
func (w *blockWriter) close() error {
	w.endPiece()
	return w.endBlock(nil)
}

// block is a block whose checksum is right.
type block struct {
	begin, end []byte
	pieces     []byte
}

// openBlock returns the run's block under a key of the bucket. It returns false if the
// block is damaged or belongs to another run.
func (r *run) openBlock(key, sealed []byte) (block, bool) {
	if len(key) < 8 || binary.BigEndian.Uint64(key) != r.id {
		return block{}, false
	}
	value, ok := unseal(r.seed, key, sealed)
	if !ok {
		return block{}, false
	}
	size, n := binary.Uvarint(value)
	if n <= 0 || size > uint64(len(value)-n) {
		return block{}, false
	}
	return block{begin: key[8:], end: value[n : n+int(size)], pieces: value[n+int(size):]}, true
}

// covers reports whether the block is the one of its run that has the place: a term,
// and perhaps a position.
func (b *block) covers(place []byte) bool {
	return bytes.Compare(b.begin, place) <= 0 && (len(b.end) == 0 || bytes.Compare(place, b.end) < 0)
}

// pieceReader iterates over the pieces of a block and over the postings of each. A
// piece that is malformed, out of order or outside the run's positions ends the
// iteration and sets broken.
type pieceReader struct {
	rest   []byte // the pieces after this one
	run    *run
	broken bool

	term   []byte // of the piece; valid until the next one
	count  uint64 // postings of the piece
	at     posting
	left   uint64 // postings of the piece after at
	deltas []byte // their deltas
}

// next moves to the next piece and its first posting.
func (r *pieceReader) next() bool {
	if len(r.rest) == 0 || r.broken {
		return false
	}
	shared, size := r.number(), r.number()
	if r.broken || shared > uint64(len(r.term)) || size > uint64(len(r.rest)) {
		r.broken = true
		return false
	}
	before := r.at.position
	if size > 0 || shared < uint64(len(r.term)) { // another term, which must sort after the last one
		before = 0
		if more := r.rest[:size]; bytes.Compare(r.term[shared:], more) >= 0 {
			r.broken = true
			return false
		}
	}
	r.term = append(r.term[:shared], r.rest[:size]...)
	r.rest = r.rest[size:]
	if n := len(r.term); n < 2 || r.term[n-1] != 0 {
		r.broken = true
		return false
	}
	r.at = posting{position: eventstore.Position(r.number())}
	if r.term[0] == kindStream {
		r.at.version = eventstore.Version(r.number())
	}
	r.count = r.number()
	size = r.number()
	if r.broken || size > uint64(len(r.rest)) || r.count == 0 || r.count-1 > size ||
		r.at.position <= before || r.at.position < r.run.from || r.at.position > r.run.through {
		r.broken = true
		return false
	}
	r.left = r.count - 1
	r.deltas, r.rest = r.rest[:size], r.rest[size:]
	return true
}

// step moves to the piece's next posting.
func (r *pieceReader) step() bool {
	if r.left == 0 {
		return false
	}
	delta, n := shortUvarint(r.deltas)
	if n <= 0 || delta == 0 || delta > uint64(r.run.through-r.at.position) {
		r.broken, r.left, r.rest = true, 0, nil
		return false
	}
	r.deltas = r.deltas[n:]
	r.left--
	r.at.position += eventstore.Position(delta)
	if r.term[0] == kindStream {
		r.at.version++
	}
	return true
}

// shortUvarint is binary.Uvarint, faster for numbers of one or two bytes.
func shortUvarint(b []byte) (uint64, int) {
	if len(b) > 1 {
		if b[0] < 0x80 {
			return uint64(b[0]), 1
		}
		if b[1] < 0x80 {
			return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
		}
	}
	return binary.Uvarint(b)
}

// skipTo steps to the piece's first posting at or after p, and reports whether
// there is one.
func (r *pieceReader) skipTo(p eventstore.Position) bool {
	at, left, deltas := r.at, r.left, r.deltas
	for at.position < p && left > 0 {
		delta, n := shortUvarint(deltas)
		if n <= 0 || delta == 0 || delta > uint64(r.run.through-at.position) {
			break // step reports it
		}
		at.position += eventstore.Position(delta)
		at.version++
		left--
		deltas = deltas[n:]
	}
	if r.term[0] != kindStream {
		at.version = 0
	}
	r.at, r.left, r.deltas = at, left, deltas
	for r.at.position < p {
		if !r.step() {
			return false
		}
	}
	return true
}

// fill appends the posting at which r stands and those after it, until postings is
// full.
func (r *pieceReader) fill(postings []posting) []posting {
	at, left, deltas := r.at, r.left, r.deltas
	follows := eventstore.Version(0)
	if r.term[0] == kindStream {
		follows = 1
	}
	for len(postings) < cap(postings) {
		if postings = append(postings, at); left == 0 {
			break
		}
		delta, n := shortUvarint(deltas)
		if n <= 0 || delta == 0 || delta > uint64(r.run.through-at.position) {
			r.broken, left, r.rest = true, 0, nil
			break
		}
		at.position += eventstore.Position(delta)
		at.version += follows
		left--
		deltas = deltas[n:]
	}
	r.at, r.left, r.deltas = at, left, deltas
	return postings
}

func (r *pieceReader) number() uint64 {
	x, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.broken = true
		return 0
	}
	r.rest = r.rest[n:]
	return x
}
