package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

const (
	magic      = 0xED0CDAED
	version    = 2
	headerSize = 16
	metaSize   = 64 // without the page header
	sumOffset  = metaSize - 8

	smallestPage = 1 << 10
	largestPage  = 1 << 24

	noFreelist = ^uint64(0)
)

// ErrForeign means that a file is not a bbolt file: no meta page has the magic
// number.
var ErrForeign = errors.New("not a bbolt file")

// ErrDamaged means that a bbolt file is damaged. The text of an error that matches
// it says how, without the word damaged, which the caller adds.
var ErrDamaged = errors.New("damaged")

type damage string

func (d damage) Error() string        { return string(d) }
func (d damage) Is(target error) bool { return target == ErrDamaged }

func damagef(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }

// Meta is a valid meta page.
type Meta struct {
	PageSize  uint32 // bytes
	Root      uint64 // page of the root bucket
	Freelist  uint64 // page of the list of free pages
	HighWater uint64 // the file has at least pages 0 … HighWater-1
	TxID      uint64 // the transaction that wrote it
}

// State is the state of a file according to its meta pages.
type State struct {
	Meta           // the newest valid one
	Damaged string // what is wrong with the other meta page, or ""
}

// Inspect reads the meta pages of a file of size bytes. Its errors match
// [ErrForeign] or [ErrDamaged], which includes a file that was cut short, or are
// those of r.
func Inspect(r io.ReaderAt, size int64) (State, error) {
	first, firstProblem, err := readMeta(r, 0)
	if err != nil {
		return State{}, err
	}
	second, secondProblem, err := secondMeta(r, size, first)
	if err != nil {
		return State{}, err
	}
	var s State
	switch {
	case first == nil && second == nil:
		if firstProblem == noMark && secondProblem == noMark {
			return State{}, ErrForeign
		}
		return State{}, damagef("both meta pages: the first %s, the second %s", firstProblem, secondProblem)
	case second == nil:
		s = State{*first, "the second meta page " + secondProblem}
	case first == nil:
		s = State{*second, "the first meta page " + firstProblem}
	default:
		s = State{Meta: *first}
		if second.TxID > first.TxID {
			s = State{Meta: *second}
		}
	}
	if need := int64(s.HighWater) * int64(s.PageSize); need > size || need < 0 {
		return s, damagef("the file was cut short: it has %d bytes and needs %d", size, need)
	}
	return s, nil
}

const noMark = "has no mark of bbolt"

// secondMeta returns the second meta page, whose place depends on the page size. If
// first is nil, it tries all page sizes.
func secondMeta(r io.ReaderAt, size int64, first *Meta) (m *Meta, problem string, err error) {
	if first != nil {
		return readMeta(r, int64(first.PageSize))
	}
	problem = noMark
	for offset := int64(smallestPage); offset <= largestPage && offset < size; offset *= 2 {
		m, p, err := readMeta(r, offset)
		if err != nil || m != nil && int64(m.PageSize) == offset {
			return m, p, err
		}
		if p != noMark {
			problem = p
		}
	}
	return nil, problem, nil
}

// readMeta returns the meta page at an offset, or what is wrong with it.
func readMeta(r io.ReaderAt, offset int64) (m *Meta, problem string, err error) {
	var page [headerSize + metaSize]byte
	if n, err := r.ReadAt(page[:], offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	} else if n < len(page) {
		return nil, noMark, nil
	}
	b, order := page[headerSize:], binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:sumOffset]) // never fails
	m = &Meta{
		PageSize:  order.Uint32(b[8:]),
		Root:      order.Uint64(b[16:]),
		Freelist:  order.Uint64(b[32:]),
		HighWater: order.Uint64(b[40:]),
		TxID:      order.Uint64(b[48:]),
	}
	switch {
	case order.Uint32(b) != magic:
		return nil, noMark, nil
	case order.Uint32(b[4:]) != version:
		return nil, fmt.Sprintf("has version %d, not %d", order.Uint32(b[4:]), version), nil
	case order.Uint64(b[sumOffset:]) != sum.Sum64():
		return nil, "does not have the checksum that it says", nil
	case m.PageSize < smallestPage || m.PageSize > largestPage || m.PageSize&(m.PageSize-1) != 0:
		return nil, fmt.Sprintf("says that pages have %d bytes", m.PageSize), nil
	}
	return m, "", nil
}
