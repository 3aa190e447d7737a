package index

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// merge reads all runs side by side. As a heap it has the run first whose term
// comes first, and of those with the same term the earliest.
type merge []*runReader

// merge returns a reader of all postings. What is still in memory is the last run.
func (s *Sorter) merge() (*merge, error) {
	if len(s.marks) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	m := &merge{}
	for i, r := range s.spilled {
		reader := newRunReader(i, r, io.NewSectionReader(s.file, r.start, r.size))
		switch err := reader.nextTerm(); {
		case err == nil:
			*m = append(*m, reader)
		case !errors.Is(err, io.EOF):
			return nil, err
		}
	}
	heap.Init(m)
	return m, nil
}

// next returns the next posting, or io.EOF. The term is valid until the next call.
func (m *merge) next() (term []byte, _ mark, err error) {
	for len(*m) > 0 {
		r := (*m)[0]
		if r.left > 0 {
			err := r.nextMark()
			return r.term, r.mark, err
		}
		switch err := r.nextTerm(); {
		case err == nil:
			heap.Fix(m, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(m)
		default:
			return nil, mark{}, err
		}
	}
	return nil, mark{}, io.EOF
}

func (m merge) Len() int { return len(m) }

func (m merge) Less(i, j int) bool {
	order := bytes.Compare(m[i].term, m[j].term)
	return order < 0 || order == 0 && m[i].number < m[j].number
}

func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }

func (m *merge) Push(x any) { *m = append(*m, x.(*runReader)) }

func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// runReader reads one run.
type runReader struct {
	number int
	run    run
	in     *bufio.Reader
	sum    hash.Hash32 // of what has been read
	term   []byte
	left   uint64 // postings of the term that have not been read
	mark   mark   // the last one that was
}

func newRunReader(number int, r run, from io.Reader) *runReader {
	sum := crc32.New(castagnoli)
	return &runReader{number: number, run: r, in: bufio.NewReaderSize(io.TeeReader(from, sum), runBuffer), sum: sum}
}

// nextTerm goes on to the next term. At the end of the run it returns io.EOF.
func (r *runReader) nextTerm() error {
	size, err := binary.ReadUvarint(r.in)
	switch {
	case errors.Is(err, io.EOF) && r.sum.Sum32() != r.run.sum:
		return errScratch
	case err != nil:
		return err
	case size < 2 || size > math.MaxUint16:
		return errScratch
	}
	r.term = slices.Grow(r.term[:0], int(size))[:size]
	if _, err := io.ReadFull(r.in, r.term); err != nil {
		return cutShort(err)
	}
	r.left, err = binary.ReadUvarint(r.in)
	r.mark = mark{}
	return cutShort(err)
}

func (r *runReader) nextMark() error {
	r.left--
	step, err := binary.ReadUvarint(r.in)
	if err != nil {
		return cutShort(err)
	}
	r.mark.position += eventstore.Position(step)
	if r.term[0] == kindStream {
		step, err := binary.ReadVarint(r.in)
		if err != nil {
			return cutShort(err)
		}
		r.mark.version += eventstore.Version(step)
	}
	return nil
}

// errScratch says that the scratch file is not read as it was written.
var errScratch = errors.New("the scratch file is damaged")

// cutShort makes an end of the file where there should be none an error.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errScratch
	}
	return err
}
