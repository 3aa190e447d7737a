package pages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// page is a page with its overflow.
type page struct {
	flags    uint16
	count    uint16
	overflow uint32
	content  []byte // after the header
}

// holdsBuckets reports whether a leaf's elements are buckets. A leaf holds either
// buckets or values.
func (p *page) holdsBuckets() bool {
	if p.count == 0 {
		return false
	}
	_, _, flags, ok := p.element(0)
	return !ok || flags&bucketElement != 0
}

// The roots of trees have no key in a page above. anyRoot stands for it. bucketRoot stands
// for it where the tree is not empty: bbolt puts a bucket without elements into the element
// of the bucket, so only the list of top-level buckets may be a page without elements.
var (
	anyRoot    []byte
	bucketRoot = []byte{}
)

// tableProblem returns what is wrong with the header of a page of a tree, with the size of
// its table of elements or with its first key, or "". first is the key that the page above
// has for it, anyRoot or bucketRoot.
func (p *page) tableProblem(first []byte) string {
	end := uint64(p.count) * elementSize // where the first key begins
	switch {
	case p.flags != flagBranch && p.flags != flagLeaf:
		return fmt.Sprintf("is in a tree, but has flags %#x", p.flags)
	case end > uint64(len(p.content)):
		return "has no room for its elements"
	case p.count == 0 && p.flags == flagBranch:
		return "is a branch of nothing"
	case p.count == 0 && first != nil:
		return "is a leaf of nothing"
	case p.count == 0:
		return ""
	}
	offset, size, _, _ := p.sizes(p.content[:elementSize])
	key, ok := slice(p.content, offset, size)
	if !ok || offset != end {
		return p.badElement(0)
	}
	if len(first) > 0 && !bytes.Equal(key, first) {
		return fmt.Sprintf("begins with key %q, the page above it says %q", key, first)
	}
	return ""
}

// problem returns what is wrong with a page of a tree, or "". first is that of tableProblem.
func (p *page) problem(first []byte, size int64) string {
	if problem := p.tableProblem(first); problem != "" {
		return problem
	}
	end, content, order := uint64(p.count)*elementSize, p.content, binary.NativeEndian // end: where the next key begins
	var last []byte
	for i := range int(p.count) {
		e := content[i*elementSize:][:elementSize]
		offset, keySize, valueSize := order.Uint32(e), order.Uint32(e[4:]), uint32(0)
		if p.flags == flagLeaf {
			offset, keySize, valueSize = order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
			if order.Uint32(e)&^bucketElement != 0 {
				return p.badElement(i)
			}
		}
		middle := end + uint64(keySize)
		if uint64(i)*elementSize+uint64(offset) != end || keySize == 0 || middle+uint64(valueSize) > uint64(len(content)) {
			return p.badElement(i)
		}
		key := content[end:middle]
		if i > 0 && !less(last, key) {
			return p.badElement(i)
		}
		last, end = key, middle+uint64(valueSize)
	}
	if need := (headerSize + int64(end) + size - 1) / size; need != 1+int64(p.overflow) {
		return fmt.Sprintf("fills %d pages, and says that it has %d", need, 1+int64(p.overflow))
	}
	return ""
}

func (p *page) badElement(i int) string {
	return fmt.Sprintf("has a damaged element, %d of %d", i+1, p.count)
}

// mostAtOnce is how many bytes are read before the page's size is confirmed.
const mostAtOnce = 16 << 10

// readPage reads a page, or returns what is wrong with it. It reads into room, if
// not nil, which grows as needed.
func readPage(r io.ReaderAt, meta Meta, id uint64, room *[]byte) (p page, problem string, err error) {
	if id < 2 || id >= meta.HighWater {
		return page{}, fmt.Sprintf("is not one of pages 2 to %d", meta.HighWater-1), nil
	}
	if room == nil {
		room = new([]byte)
	}
	// Read as much at once as the page before had, which is often right, but only
	// one page after a page that could not be read.
	size, offset := int64(meta.PageSize), int64(id)*int64(meta.PageSize)
	b := grown(*room, max(size, min(int64(len(*room)), mostAtOnce)))
	*room = b[:size]
	n, err := r.ReadAt(b, offset)
	if int64(n) < size {
		return page{}, "", fmt.Errorf("read page %d: %w", id, err)
	}
	order := binary.NativeEndian
	p = page{flags: order.Uint16(b[8:]), count: order.Uint16(b[10:]), overflow: order.Uint32(b[12:])}
	if said := order.Uint64(b); said != id {
		return page{}, fmt.Sprintf("says that it is page %d", said), nil
	}
	if int64(p.overflow)*size > largestValue || id+uint64(p.overflow) >= meta.HighWater {
		return page{}, fmt.Sprintf("says that it goes on for %d pages", p.overflow), nil
	}
	whole := size * (1 + int64(p.overflow))
	if b = grown(b, whole); int64(n) < whole {
		if _, err := r.ReadAt(b[n:], offset+int64(n)); err != nil {
			return page{}, "", fmt.Errorf("read page %d: %w", id, err)
		}
	}
	*room = b
	p.content = b[headerSize:]
	return p, "", nil
}

// grown returns b with length n and as much of its content as fits.
func grown(b []byte, n int64) []byte {
	return slices.Grow(b, max(0, int(n)-len(b)))[:n]
}

// inlineProblem returns what is wrong with the page of an inline bucket, or "".
func inlineProblem(b []byte) string {
	if len(b) < headerSize {
		return "is too short"
	}
	order := binary.NativeEndian
	p := page{flags: order.Uint16(b[8:]), count: order.Uint16(b[10:]), content: b[headerSize:]}
	if p.flags != flagLeaf {
		return fmt.Sprintf("has flags %#x", p.flags)
	}
	return p.problem(anyRoot, int64(len(b)))
}

// child returns the key and page of a branch's i-th element.
func (p *page) child(i int) (key []byte, id uint64, ok bool) {
	e, ok := p.at(i)
	if !ok {
		return nil, 0, false
	}
	order := binary.NativeEndian
	key, ok = slice(p.content[i*elementSize:], uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])))
	return key, order.Uint64(e[8:]), ok
}

// element returns a leaf's i-th element.
func (p *page) element(i int) (key, value []byte, flags uint32, ok bool) {
	e, ok := p.at(i)
	if !ok {
		return nil, nil, 0, false
	}
	order := binary.NativeEndian
	offset, keySize := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:]))
	key, keyOK := slice(p.content[i*elementSize:], offset, keySize)
	value, valueOK := slice(p.content[i*elementSize:], offset+keySize, uint64(order.Uint32(e[12:])))
	return key, value, order.Uint32(e), keyOK && valueOK
}

// childID returns the page of a branch's i-th element. The branch must have that
// element.
func (p *page) childID(i int) uint64 {
	return binary.NativeEndian.Uint64(p.content[i*elementSize+8:])
}

// sizes returns the fields of an element: the offset of its key, and the sizes of
// key and value. ok is false if the element is not of the page's kind.
func (p *page) sizes(e []byte) (offset, key, value uint64, ok bool) {
	order := binary.NativeEndian
	if p.flags == flagBranch {
		return uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), 0, true
	}
	return uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:])), order.Uint32(e)&^bucketElement == 0
}

func (p *page) at(i int) ([]byte, bool) {
	return slice(p.content, uint64(i)*elementSize, elementSize)
}

func slice(b []byte, offset, size uint64) ([]byte, bool) {
	if offset > uint64(len(b)) || size > uint64(len(b))-offset {
		return nil, false
	}
	return b[offset : offset+size], true
}
