package pages

import (
	"encoding/binary"
	"errors"
	"io"
)

// Walk visits the elements of a bucket in the order of keys, and skips pages that
// cannot be read. It reports whether it read the end of the bucket: then the last
// key that it visited is the bucket's last. Key and value are valid until visit
// returns. Errors are those of r, of visit and of interrupted, which is called
// between pages.
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
	seen        bitmap // pages that were read, so that a loop in the tree ends
}

// tree visits the elements below a page, and reports whether it read the end.
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
	end = true // also of an empty bucket
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

// Element is a key and a value that Scan has found.
type Element struct {
	Bucket     string // "" if unknown
	Key, Value []byte
	Offset     int64 // of the value in the file
}

// Scan reads a file of size bytes page by page, without its tree, and visits
// everything that looks like an element of a leaf: in pages in use, in free pages
// that are not overwritten yet, and in pages with a damaged header. An element may
// therefore be any bytes; visit reports whether it is a true element. Scan does not
// search the bytes of a true element for others. A value that goes on after the end of
// the file is cut there. The element is valid until visit returns.
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

// PageSizes returns the possible page sizes, the most likely first.
func PageSizes() []int {
	sizes := []int{4 << 10, 16 << 10, 64 << 10}
	for size := smallestPage; size <= largestPage; size *= 2 {
		if size != 4<<10 && size != 16<<10 && size != 64<<10 {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// longest is the largest key or value, in bytes, that Scan believes in.
const longest = 64 << 20

type scanner struct {
	file   io.ReaderAt
	size   int64
	visit  func(Element) (bool, error)
	page   []byte
	beyond []byte // an element that goes on after its page
	end    int64  // offset in the file of the end of the page's true elements
}

// leaf visits the elements of a page that may be a leaf. It counts them in two ways,
// since either count may be damaged.
func (s *scanner) leaf(offset int64, b []byte) error {
	content := b[headerSize:]
	p := page{content: content}
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if first, ok := p.at(0); ok {
		count = max(count, int(binary.NativeEndian.Uint32(first[4:])/elementSize))
	}
	for i := range min(count, len(content)/elementSize) {
		e, _ := p.at(i)
		order := binary.NativeEndian
		at := int64(i*elementSize) + int64(order.Uint32(e[4:]))
		keySize, valueSize := int64(order.Uint32(e[8:])), int64(order.Uint32(e[12:]))
		start := offset + headerSize + at
		if at > longest || keySize > longest || valueSize > longest || start+keySize > s.size {
			continue
		}
		valueSize = min(valueSize, s.size-start-keySize)
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

// read returns the bytes of an element, from the page, or from the file if they go
// on after the page.
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

// inline visits the elements of an inline bucket.
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
