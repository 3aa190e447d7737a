package pages

import (
	"encoding/binary"
	"fmt"
	"iter"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// # Trees that may be damaged
//
// Problem. bbolt trusts the pages that it maps. A page of a tree may have wrong bytes, or
// its place may still have what it had before the page was written: a branch, or the list
// of free pages. bbolt's cursor then may descend without end, which exhausts the stack or
// the memory and ends the process, or it may walk in a circle. No caller can recover from
// that.
//
// Invariants. These rules hold for every tree that bbolt writes. A [Cursor] stops where one
// is broken:
//
//  1. A page names itself, and ends with its overflow below the high-water mark.
//  2. It is a branch or a leaf, at most deepestTree levels down. The leaves that one
//     cursor reaches by steps are equally deep.
//  3. Its first key begins where its table of elements ends. So the table has the right
//     number of elements. It is empty only in a bucket that lies within an element, and
//     in a file without buckets.
//  4. Its first key is the key that the page above has for it.
//  5. An element begins where the one before it ends. The last one ends in the page, and in
//     the last piece of its overflow.
//  6. The keys of a walk ascend, or descend if it goes backward. So a walk ends: it
//     reaches no leaf twice.
//
// A search compares with its key the elements on both sides of the place where it ends. By
// rules 3 and 5 no other elements lie between these. So a key that a search does not find
// is absent from that leaf, unless bytes of a key are wrong.
//
// Steps. A [Tx] finds the mapped file of a transaction of bbolt. A [Cursor] checks each
// page that it enters and each element that it uses. If a rule is broken, it panics with a
// [*PageError]. Its callers run inside of logfile.Protect, because bbolt panics on damage
// too. Protect makes an error of both.
//
// Limits. These need checksums of their own: the bytes of keys and values, the size of the
// last key and value of a page, and whether an element is a bucket. Nothing shows which
// page belongs at the root of a bucket, or that a page has an older state for which all
// rules hold.
//
// Rejected. An error that the cursor keeps until it is asked for: a caller that forgets to
// ask takes the elements before the damage for all. A check of all elements of a page that
// is entered: a search would take several times as long.

// deepestTree is how many levels of branches a tree may have. A branch has two children or
// more, and no file is so large that it needs as many levels.
const deepestTree = 40

// PageError means that a page of a tree is damaged, or is not the one that belongs there.
// It matches [ErrDamaged].
type PageError struct {
	Page    uint64
	Problem string
}

// Error implements error.
func (e *PageError) Error() string { return fmt.Sprintf("page %d %s", e.Page, e.Problem) }

// Is reports whether target is ErrDamaged.
func (e *PageError) Is(target error) bool { return target == ErrDamaged }

func bad(id uint64, format string, args ...any) {
	panic(&PageError{Page: id, Problem: fmt.Sprintf(format, args...)})
}

// Tx is the state of a file that a transaction of bbolt reads; if the transaction writes,
// it is the state before. It is valid until that transaction ends, or is committed. It is
// safe for concurrent use by multiple goroutines.
//
// All methods of Tx, [Tree] and [Cursor] panic with a [*PageError] where they meet damage.
// Keys and values that they return lie in the mapped file: they are valid as long as the
// Tx, and must not be changed.
type Tx struct {
	id        int
	bytes     []byte // the pages below the high-water mark, in the map
	size      int    // of a page, in bytes
	highWater uint64
	root      Tree
}

// View returns the state that a transaction reads, or, if it writes, the state before it.
func View(tx *bolt.Tx) *Tx {
	info, size := tx.DB().Info(), tx.Size()
	data := *(*unsafe.Pointer)(unsafe.Pointer(&info.Data)) // memory that Go does not manage
	t := &Tx{
		id:        tx.ID(),
		bytes:     unsafe.Slice((*byte)(data), int(size)), // it is mapped, so an int is large enough
		size:      info.PageSize,
		highWater: uint64(size) / uint64(info.PageSize),
	}
	t.root = Tree{tx: t, root: uint64(tx.Cursor().Bucket().Root()), slack: t.size}
	return t
}

// ID returns the number of the transaction.
func (t *Tx) ID() int { return t.id }

// Size returns the size in bytes of the file up to the high-water mark.
func (t *Tx) Size() int64 { return int64(len(t.bytes)) }

// Offset returns where in the file a value begins that this Tx has returned. ok is false
// for other bytes.
func (t *Tx) Offset(value []byte) (offset int64, ok bool) {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(t.bytes)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(value)))
	if at < first || at-first >= uintptr(len(t.bytes)) {
		return 0, false
	}
	return int64(at - first), true
}

// Root returns the tree whose elements are the top-level buckets.
func (t *Tx) Root() *Tree { return &t.root }

// Bucket returns a top-level bucket, or nil if there is no bucket of that name.
func (t *Tx) Bucket(name []byte) *Tree { return t.root.Bucket(name) }

// read reads a page of a tree into p, and checks rules 1 to 4. first is that of
// tableProblem.
func (t *Tx) read(p *page, id uint64, first []byte) {
	if id < 2 || id >= t.highWater {
		bad(id, "is not one of pages 2 to %d", t.highWater-1)
	}
	b, order := t.bytes[int(id)*t.size:], binary.NativeEndian
	if said := order.Uint64(b); said != id {
		bad(id, "says that it is page %d", said)
	}
	p.flags, p.count, p.overflow = order.Uint16(b[8:]), order.Uint16(b[10:]), order.Uint32(b[12:])
	if uint64(p.overflow) >= t.highWater-id {
		bad(id, "says that it goes on for %d pages", p.overflow)
	}
	p.content = b[headerSize : (1+int(p.overflow))*t.size]
	if problem := p.tableProblem(first); problem != "" {
		bad(id, "%s", problem)
	}
}

// again returns a page that was read before.
func (t *Tx) again(id uint64) page {
	b, order := t.bytes[int(id)*t.size:], binary.NativeEndian
	p := page{flags: order.Uint16(b[8:]), count: order.Uint16(b[10:]), overflow: order.Uint32(b[12:])}
	p.content = b[headerSize : (1+int(p.overflow))*t.size]
	return p
}

// Tree is a bucket in the state of a [Tx].
type Tree struct {
	tx     *Tx
	root   uint64 // the page at the root; if inline is not nil, the page that has the bucket
	inline []byte // the page of a bucket that lies within an element
	first  []byte // anyRoot or bucketRoot
	slack  int    // each page has fewer bytes than that behind its last element
}

// emptyPage is the page of a bucket that has no elements and lies within an element.
var emptyPage = func() []byte {
	page := make([]byte, headerSize)
	binary.NativeEndian.PutUint16(page[8:], flagLeaf)
	return page
}()

// empty returns a tree without elements.
func (t *Tx) empty() *Tree { return &Tree{tx: t, inline: emptyPage, slack: 1} }

// readRoot reads the page at the root into p, and checks rules 1 to 4.
func (t *Tree) readRoot(p *page) {
	if t.inline == nil {
		t.tx.read(p, t.root, t.first)
		return
	}
	order := binary.NativeEndian
	*p = page{flags: order.Uint16(t.inline[8:]), count: order.Uint16(t.inline[10:]), content: t.inline[headerSize:]}
	problem := p.tableProblem(t.first)
	if problem == "" && p.flags != flagLeaf {
		problem = "is not a leaf"
	}
	if problem != "" {
		bad(t.root, "has a damaged bucket: its page, within this one, %s", problem)
	}
}

// Cursor returns a cursor over the tree's elements.
func (t *Tree) Cursor() *Cursor { return &Cursor{tree: t} }

// Get returns the value under a key, or nil if there is none. A bucket there is damage.
func (t *Tree) Get(key []byte) []byte {
	c := Cursor{tree: t}
	found, value := c.Seek(key)
	switch {
	case found == nil || string(found) != string(key):
		return nil
	case value == nil:
		bad(c.id, "has a bucket under the key %q, where a value belongs", key)
	}
	return value
}

// Bucket returns the bucket under a key, or nil if there is none. A value there is damage.
func (t *Tree) Bucket(name []byte) *Tree {
	bucket, id := t.find(name)
	if bucket == nil && id > 0 {
		bad(id, "has a value under the key %q, where a bucket belongs", name)
	}
	return bucket
}

// find returns the bucket under a key, or nil. If there is a value, id is the page that has
// it; otherwise it is 0.
func (t *Tree) find(name []byte) (bucket *Tree, id uint64) {
	c := Cursor{tree: t}
	found, value := c.Seek(name)
	switch {
	case found == nil || string(found) != string(name):
		return nil, 0
	case value != nil:
		return nil, c.id
	}
	return c.bucket(), 0
}

// All yields the keys and values in order. The value of a bucket is nil.
func (t *Tree) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		c := t.Cursor()
		for key, value := c.First(); key != nil; key, value = c.Next() {
			if !yield(key, value) {
				return
			}
		}
	}
}
