package pages

import (
	"encoding/binary"
	"errors"
	"io"
)

// Walk visits what the bucket of that name holds, in the order of keys, as far
// as its pages can be read; those that cannot are passed over. It reports whether
// the end of the bucket was among what could be read: then the last key that was
// visited is the last one there is. Key and value are valid until visit returns.
// Its errors are those of r, of visit and of interrupted, which is called between
// pages.
func Walk(r io.ReaderAt, meta Meta, bucket string, interrupted func() error, visit func(key, value []byte) error) (end bool, err error) {
	w := &walker{file: r, meta: meta, interrupted: interrupted, seen: newBitmap(meta.HighWater)}
	var root []byte
	w.visit = func(key, value []byte, flags uint32) error {
		if string(key) == bucket && flags&bucketElement != 0 && len(value) >= bucketSize {
			root = append([]byte{}, value...)
		}
		return nil
	}
	if _, err := w.tree(meta.Root, 0); err != nil || root == nil {
		return false, err
	}
	w.visit = func(key, value []byte, flags uint32) error {
		if flags&bucketElement != 0 {
			return nil
		}
		return visit(key, value)
	}
	if id := binary.NativeEndian.Uint64(root); id != 0 {
		return w.tree(id, 0)
	}
	inline, ok := inlinePage(root)
	if !ok {
		return false, nil
	}
	return w.leaf(inline)
}

// walker walks a tree that may be damaged.
type walker struct {
	file        io.ReaderAt
	meta        Meta
	interrupted func() error
	visit       func(key, value []byte, flags uint32) error
	seen        bitmap // pages, lest a tree that leads back to itself has no end
}

// tree visits what is below a page, and reports whether it saw the end.
func (w *walker) tree(id uint64, depth int) (end bool, err error) {
	if err := w.interrupted(); err != nil {
		return false, err
	}
	if depth > deepest || id >= w.meta.HighWater || w.seen.get(id) {
		return false, nil
	}
	w.seen.set(id)
	p, problem, err := readPage(w.file, w.meta, id, nil)
	switch {
	case errors.Is(err, io.EOF):
		return false, nil // the file was cut short
	case err != nil:
		return false, err
	case problem != "":
		return false, nil
	case p.flags == flagLeaf:
		return w.leaf(p)
	case p.flags != flagBranch:
		return false, nil
	}
	for i := range int(p.count) {
		_, child, ok := p.child(i)
		if end = false; !ok {
			continue
		}
		if end, err = w.tree(child, depth+1); err != nil {
			return false, err
		}
	}
	return end, nil
}

func (w *walker) leaf(p page) (end bool, err error) {
	end = true // of an empty bucket, too
	for i := range int(p.count) {
		key, value, flags, ok := p.element(i)
		if end = ok; !ok {
			continue
		}
		if err := w.visit(key, value, flags); err != nil {
			return false, err
		}
	}
	return end, nil
}

// Element is a key and value that Scan has found.
type Element struct {
	Bucket     string // "" if that cannot be told
	Key, Value []byte
	Offset     int64 // of the value in the file
}

// Scan goes over a file of so many bytes page by page, as if there were no tree,
// and visits all that looks like an element of a leaf: of pages in use, of those
// that were given up and not overwritten yet, of pages whose header is damaged. So
// it may be anything, and visit reports whether it is what it looks like. What a
// true element fills is not looked at for others. The element is valid until
// visit returns.
func Scan(r io.ReaderAt, size int64, pageSize int, interrupted func() error, visit func(Element) (isTrue bool, err error)) error {
	s := &scanner{file: r, size: size, visit: visit, page: make([]byte, pageSize)}
	for offset := int64(0); offset < size; {
		if err := interrupted(); err != nil {
			return err
		}
		n, err := r.ReadAt(s.page, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		s.end = offset + int64(pageSize)
		if n > headerSize {
			if err := s.leaf(offset, s.page[:n]); err != nil {
				return err
			}
		}
		pages := (s.end - offset + int64(pageSize) - 1) / int64(pageSize)
		offset += pages * int64(pageSize)
	}
	return nil
}

// PageSizes returns the sizes that a page can have, the most likely first.
func PageSizes() []int {
	sizes := []int{4 << 10, 16 << 10, 64 << 10}
	for size := smallestPage; size <= largestPage; size *= 2 {
		if size != 4<<10 && size != 16<<10 && size != 64<<10 {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// longest bounds what the key and the value of an element are believed to be.
const longest = 64 << 20

type scanner struct {
	file   io.ReaderAt
	size   int64
	visit  func(Element) (bool, error)
	page   []byte
	beyond []byte // an element that goes on beyond its page
	end    int64  // in the file, of what the page's true elements fill
}

// leaf visits the elements of what may be a leaf page. The elements are counted
// in two ways, since either may be damaged.
func (s *scanner) leaf(offset int64, b []byte) error {
	content := b[headerSize:]
	p := page{content: content}
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if first, ok := p.at(0); ok {
		count = max(count, int(binary.NativeEndian.Uint32(first[4:]))/elementSize)
	}
	for i := range min(count, len(content)/elementSize) {
		e, _ := p.at(i)
		order := binary.NativeEndian
		at := int64(i*elementSize) + int64(order.Uint32(e[4:]))
		keySize, valueSize := int64(order.Uint32(e[8:])), int64(order.Uint32(e[12:]))
		start := offset + headerSize + at
		if at > longest || keySize > longest || valueSize > longest || start+keySize+valueSize > s.size {
			continue
		}
		both, err := s.read(content, at, start, keySize+valueSize)
		if err != nil {
			return err
		}
		key, value := both[:keySize:keySize], both[keySize:]
		if order.Uint32(e)&bucketElement != 0 {
			err = s.inline(string(key), value, start+keySize)
		} else {
			err = s.element(Element{Key: key, Value: value, Offset: start + keySize})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the bytes of an element: of the page, or from the file if they go
// on beyond it.
func (s *scanner) read(content []byte, at, start, size int64) ([]byte, error) {
	if both, ok := slice(content, uint64(at), uint64(size)); ok {
		return both, nil
	}
	if int64(cap(s.beyond)) < size {
		s.beyond = make([]byte, size)
	}
	_, err := s.file.ReadAt(s.beyond[:size], start)
	return s.beyond[:size], err
}

// inline visits the elements of a bucket that is small enough to be in the value
// of another's element.
func (s *scanner) inline(bucket string, value []byte, start int64) error {
	if len(value) < bucketSize || binary.NativeEndian.Uint64(value) != 0 {
		return nil
	}
	p, ok := inlinePage(value)
	if !ok {
		return nil
	}
	for i := range min(int(p.count), len(p.content)/elementSize) {
		key, v, flags, ok := p.element(i)
		if !ok || flags&bucketElement != 0 {
			continue
		}
		offset := start + int64(cap(value)-cap(v)) // v is a part of value
		if err := s.element(Element{Bucket: bucket, Key: key, Value: v, Offset: offset}); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) element(e Element) error {
	isTrue, err := s.visit(e)
	if isTrue {
		s.end = max(s.end, e.Offset+int64(len(e.Value)))
	}
	return err
}

// inlinePage returns the page that is the value of an inline bucket.
func inlinePage(value []byte) (page, bool) {
	b := value[bucketSize:]
	if len(b) < headerSize {
		return page{}, false
	}
	return page{flags: flagLeaf, count: binary.NativeEndian.Uint16(b[10:]), content: b[headerSize:]}, true
}
