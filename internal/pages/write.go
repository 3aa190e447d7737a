package pages

import (
	"bytes"
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// # Writing into trees that may be damaged
//
// Problem. A transaction of bbolt that writes trusts the pages as well (see tree.go), and
// more of their bytes. It copies all elements of a page that it changes, whatever sizes
// they have, and frees the pages that the header counts as the page's overflow. Wrong sizes
// take memory without bound. Wrong overflow frees pages that are in use, and a later
// transaction overwrites them.
//
// Invariant. In a transaction that writes, bbolt reads only pages that were checked in
// full: rules 1 to 6 hold for them and all their elements, and their overflow is what these
// elements need.
//
// Steps. bbolt writes pages when it commits. Until then it reads those of the state before
// the transaction, and what it has changed is in its memory. So before each call of bbolt, a
// [WriteBucket] follows the path to the key in the state before, and checks each page on it.
// Where an element is deleted, bbolt may merge a page with the one beside it when it
// commits, so the pages beside those on the way are checked too. Where a bucket is deleted,
// bbolt reads and frees all its pages, and all are checked.
//
// A page is checked once in a transaction. All keys of a leaf have the same way, so a key
// that belongs to the leaf of the key before needs no search: a transaction that appends
// goes the way once.
//
// Another program may overwrite the file meanwhile. So the overflow of these pages and of
// the list of free pages is checked again before the commit.
//
// Limits. bbolt reads that overflow once more within the commit. A branch with deletions
// below it may be merged twice, the second time with a branch that was not beside it before.
// That one is not checked; logfile.Open checks all branches.

// WriteTx changes a file in one transaction of bbolt. It and its buckets panic with a
// [*PageError] where they meet damage; the transaction must then be rolled back. They are
// valid until the transaction ends, and not safe for concurrent use.
type WriteTx struct {
	// Before is the state before the transaction.
	Before *Tx

	checked map[uint64]uint32 // the overflow of each page
	root    WriteBucket
}

// Write returns the WriteTx of a transaction that writes and has not changed anything yet.
func Write(tx *bolt.Tx) *WriteTx {
	t := &WriteTx{Before: View(tx), checked: make(map[uint64]uint32)}
	t.root = WriteBucket{tx: t, bucket: tx.Cursor().Bucket(), before: t.Before.Root()}
	t.Before.checkFreelist()
	return t
}

// CheckAgain checks once more what bbolt frees when it commits. It must be called right
// before that.
func (t *WriteTx) CheckAgain() {
	t.Before.checkFreelist()
	for id, overflow := range t.checked {
		b, order := t.Before.bytes[int(id)*t.Before.size:], binary.NativeEndian
		if order.Uint64(b) != id || order.Uint32(b[12:]) != overflow {
			bad(id, "has changed during a transaction")
		}
	}
}

// ID returns the number of the transaction.
func (t *WriteTx) ID() int { return t.Before.id }

// Root returns the bucket of the top-level buckets.
func (t *WriteTx) Root() *WriteBucket { return &t.root }

// Bucket returns a top-level bucket, or nil if there is no bucket of that name.
func (t *WriteTx) Bucket(name []byte) *WriteBucket { return t.root.Bucket(name) }

// checkFreelist checks the header of the list of free pages, which bbolt frees when it
// commits. The transaction has the number after that of the state before it, and bbolt puts
// the meta page of a state into page 0 or 1, after its number.
func (t *Tx) checkFreelist() {
	order := binary.NativeEndian
	meta := t.bytes[(t.id-1)&1*t.size+headerSize:]
	id := order.Uint64(meta[32:])
	if id == noFreelist {
		return
	}
	if id < 2 || id >= t.highWater {
		bad(id, "is not one of pages 2 to %d", t.highWater-1)
	}
	b := t.bytes[int(id)*t.size:]
	said, flags, count, size := order.Uint64(b), order.Uint16(b[8:]), uint64(order.Uint16(b[10:])), 1+uint64(order.Uint32(b[12:]))
	if count == 0xffff {
		count = order.Uint64(b[headerSize:])
	}
	// bbolt takes a page too much, and the pages that it takes may come from the list.
	most := (headerSize+8*(count+1+size))/uint64(t.size) + 1
	if said != id || flags != flagFreelist || size > t.highWater-id || count >= t.highWater || size > most {
		bad(id, "is not a list of free pages, or has a damaged header")
	}
}

// whole returns a page of the state before after it has checked all of it. first is that of
// tableProblem.
func (t *Tx) whole(id uint64, first []byte) (p page) {
	t.read(&p, id, first)
	if problem := p.problem(first, int64(t.size)); problem != "" {
		bad(id, "%s", problem)
	}
	return p
}

// check is whole, once for each page.
func (t *WriteTx) check(id uint64, first []byte) (p page) {
	if _, done := t.checked[id]; done {
		t.Before.read(&p, id, first)
		return p
	}
	p = t.Before.whole(id, first)
	t.checked[id] = p.overflow
	return p
}

// checkAll checks all pages of a bucket that has values only.
func (t *Tree) checkAll() {
	if t.inline == nil {
		t.tx.checkBelow(t.root, t.first, nil, 0)
		return
	}
	t.checkInline()
	for key, value := range t.All() {
		if value == nil {
			bad(t.root, "has a bucket %q where only values belong", key)
		}
	}
}

// checkInline checks the page of a bucket that lies within an element.
func (t *Tree) checkInline() {
	if problem := inlineProblem(t.inline); problem != "" {
		bad(t.root, "has a damaged bucket: its page, within this one, %s", problem)
	}
}

// checkBelow checks all pages from one on downward. first is that of tableProblem. last is
// the last key before these pages, nil if there is none; checkBelow returns their last key.
func (t *Tx) checkBelow(id uint64, first, last []byte, depth int) []byte {
	if depth > deepestTree {
		bad(id, "is deeper than any tree grows")
	}
	p := t.whole(id, first)
	if p.flags == flagBranch {
		for i := range int(p.count) {
			key, child := p.childAt(id, i)
			last = t.checkBelow(child, key, last, depth+1)
		}
		return last
	}
	for i := range int(p.count) {
		key, _, flags, _ := p.element(i)
		if flags != 0 {
			bad(id, "has a bucket %q where only values belong", key)
		}
		if last != nil && bytes.Compare(key, last) <= 0 { // or the pages would lead in a circle
			bad(id, "has keys that do not follow those of the page beside it")
		}
		last = key
	}
	return last
}

// WriteBucket changes a bucket. Its methods are those of bbolt's Bucket, with the checks.
type WriteBucket struct {
	tx     *WriteTx
	bucket *bolt.Bucket
	before *Tree // the bucket in the state before; without elements if it is new

	// The way to all keys from low on and before high was checked; beside says that the
	// pages beside it were too. A key that is nil is no bound.
	known     bool
	beside    bool
	low, high []byte

	buckets map[string]*WriteBucket // nil: deleted or moved
}

// Before returns the bucket in the state before the transaction. It has no elements if it is
// new.
func (b *WriteBucket) Before() *Tree { return b.before }

// Fill sets how full, from 0.1 to 1, pages are made that are split.
func (b *WriteBucket) Fill(percent float64) { b.bucket.FillPercent = percent }

// Get returns the value under a key; nil if there is none, or if it is a bucket.
func (b *WriteBucket) Get(key []byte) []byte {
	b.lead(key, false)
	return b.bucket.Get(key)
}

// Put puts a value, which must not change until the transaction ends.
func (b *WriteBucket) Put(key, value []byte) error {
	b.lead(key, false)
	return b.bucket.Put(key, value)
}

// Delete deletes a value. It does nothing if there is none.
func (b *WriteBucket) Delete(key []byte) error {
	b.lead(key, true)
	return b.bucket.Delete(key)
}

// Empty reports whether the bucket has no elements. It goes past those that this
// transaction has deleted.
func (b *WriteBucket) Empty() bool {
	for key := range b.before.All() {
		if b.Get(key) != nil {
			return false
		}
	}
	first, _ := b.bucket.Cursor().First() // all of its old pages were checked
	return first == nil
}

// Bucket returns the bucket under a key, or nil if there is none, or if it is a value.
func (b *WriteBucket) Bucket(name []byte) *WriteBucket {
	if child, known := b.buckets[string(name)]; known {
		return child
	}
	b.lead(name, false)
	before := b.childBefore(name)
	return b.keep(name, b.bucket.Bucket(name), before)
}

// CreateBucket creates a bucket. It is an error if there is one.
func (b *WriteBucket) CreateBucket(name []byte) (*WriteBucket, error) {
	b.lead(name, false)
	child, err := b.bucket.CreateBucket(name)
	return b.keep(name, child, b.tx.Before.empty()), err
}

// CreateBucketIfNotExists returns the bucket under a key, and creates it if needed.
func (b *WriteBucket) CreateBucketIfNotExists(name []byte) (*WriteBucket, error) {
	if child := b.Bucket(name); child != nil {
		return child, nil
	}
	return b.CreateBucket(name)
}

// DeleteBucket deletes a bucket that has values only.
func (b *WriteBucket) DeleteBucket(name []byte) error {
	b.lead(name, true)
	b.childBefore(name).checkAll()
	if err := b.bucket.DeleteBucket(name); err != nil {
		return err
	}
	b.forget(name)
	return nil
}

// MoveBucket moves a bucket that this transaction has not opened into another one. It does
// not read the bucket's pages, and the bucket cannot be opened in this transaction.
func (b *WriteBucket) MoveBucket(name []byte, to *WriteBucket) error {
	b.lead(name, true)
	to.lead(name, false)
	if err := b.bucket.MoveBucket(name, to.bucket); err != nil {
		return err
	}
	b.forget(name)
	to.forget(name)
	return nil
}

// childBefore returns a bucket in the state before, without elements if it is new.
func (b *WriteBucket) childBefore(name []byte) *Tree {
	child, known := b.buckets[string(name)]
	if child != nil {
		return child.before
	}
	if before, _ := b.before.find(name); before != nil && !known {
		return before
	}
	return b.tx.Before.empty()
}

// keep returns the WriteBucket of a bucket of bbolt's, which may be nil.
func (b *WriteBucket) keep(name []byte, bucket *bolt.Bucket, before *Tree) *WriteBucket {
	if bucket == nil {
		return nil
	}
	if b.buckets == nil {
		b.buckets = make(map[string]*WriteBucket)
	}
	child := &WriteBucket{tx: b.tx, bucket: bucket, before: before}
	b.buckets[string(name)] = child
	return child
}

// forget notes that a bucket of the state before is there no more.
func (b *WriteBucket) forget(name []byte) {
	if b.buckets == nil {
		b.buckets = make(map[string]*WriteBucket)
	}
	b.buckets[string(name)] = nil
}

// lead checks the pages that lead to a key, and if deletes is true, those beside them.
func (b *WriteBucket) lead(key []byte, deletes bool) {
	if b.known && (b.beside || !deletes) && bytes.Compare(key, b.low) >= 0 && (b.high == nil || bytes.Compare(key, b.high) < 0) {
		return
	}
	b.known, b.beside, b.low, b.high = false, deletes, nil, nil
	if b.before.inline != nil {
		b.before.checkInline()
		b.known, b.beside = true, true
		return
	}
	id := b.before.root
	p := b.tx.check(id, b.before.first)
	for depth := 0; p.flags == flagBranch; depth++ {
		if depth > deepestTree {
			bad(id, "is deeper than any tree grows")
		}
		id, p = b.step(id, &p, key, deletes)
	}
	b.known = true
}

// step checks the page to which a branch leads on the way to a key, and returns it.
func (b *WriteBucket) step(id uint64, branch *page, key []byte, deletes bool) (next uint64, p page) {
	i, equal := branch.search(id, key)
	if !equal && i > 0 {
		i--
	}
	first, next := branch.childAt(id, i)
	p = b.tx.check(next, first)
	if i > 0 {
		b.low = first
	}
	if i+1 < int(branch.count) {
		b.high, _ = branch.childAt(id, i+1)
	}
	for _, j := range [2]int{i - 1, i + 1} {
		if !deletes || j < 0 || j >= int(branch.count) {
			continue
		}
		first, beside := branch.childAt(id, j)
		if b.tx.check(beside, first).flags != p.flags {
			bad(beside, "is not as deep in its tree as others of its kind")
		}
	}
	return next, p
}
