package pages

import (
	"bytes"
	"encoding/binary"
)

// Cursor walks over the elements of a [Tree], like the cursor of bbolt. The key is nil
// where there is no element, and the value of a bucket is nil. A cursor that has panicked
// must not be used again. It is not safe for concurrent use.
type Cursor struct {
	tree  *Tree
	depth int // number of branches above the leaf
	above [deepestTree]place
	id    uint64 // of the leaf; of the page around it if it lies within an element
	leaf  page
	top   page // at the root; without content: not read yet
	at    int  // the element; the leaf's count: beyond the last one
	here  span // of the element; beyond the last one, it has no key
}

// place is a place in a branch.
type place struct {
	id           uint64
	index, count uint16
}

// First moves to the first element.
func (c *Cursor) First() (key, value []byte) {
	c.depth = 0
	if c.enter(c.tree.root, c.tree.first) {
		c.descend(1)
	}
	return c.land(0)
}

// Last moves to the last element.
func (c *Cursor) Last() (key, value []byte) {
	c.depth = 0
	if c.enter(c.tree.root, c.tree.first) {
		c.above[0].index = c.above[0].count - 1
		c.descend(-1)
	}
	return c.land(int(c.leaf.count) - 1)
}

// Seek moves to the first element whose key is not less than a key. If there is none, it
// moves beyond the last element; Prev then moves to that one.
func (c *Cursor) Seek(key []byte) (found, value []byte) {
	c.depth = 0
	for id, first := c.tree.root, c.tree.first; c.enter(id, first); {
		top := &c.above[c.depth-1]
		i, equal := c.leaf.search(top.id, key)
		if !equal && i > 0 {
			i--
		}
		top.index = uint16(i)
		first, id = c.leaf.childAt(top.id, i)
	}
	n := int(c.leaf.count)
	i, _ := c.leaf.search(c.id, key)
	if i < n || n == 0 {
		return c.land(i)
	}
	c.land(n - 1)
	if found, value = c.leap(1); found == nil {
		c.at, c.here = n, span{c.here.end, c.here.end, c.here.end}
	}
	return found, value
}

// Next moves to the next element. At the last one it stays there.
func (c *Cursor) Next() (key, value []byte) {
	i, content := c.at+1, c.leaf.content
	if i >= int(c.leaf.count) {
		return c.leap(1)
	}
	before, s := c.here, c.leaf.leafSpan(i)
	if s.middle <= s.start || s.end < s.middle || s.end > len(content) || !c.closed(i, s.end) ||
		!less(content[before.start:before.middle], content[s.start:s.middle]) {
		bad(c.id, "%s", c.leaf.badElement(i))
	}
	c.at, c.here = i, s
	if binary.NativeEndian.Uint32(content[i*elementSize:]) != 0 {
		return c.nested()
	}
	return content[s.start:s.middle:s.middle], content[s.middle:s.end:s.end]
}

// Prev moves to the element before. At the first one it stays there.
func (c *Cursor) Prev() (key, value []byte) {
	i, content := c.at-1, c.leaf.content
	if i < 0 {
		return c.leap(-1)
	}
	after, s := c.here, c.leaf.leafSpan(i)
	if s.start < 0 || s.middle <= s.start || s.end < s.middle || s.end != after.start ||
		after.middle > after.start && !less(content[s.start:s.middle], content[after.start:after.middle]) {
		bad(c.id, "%s", c.leaf.badElement(i))
	}
	c.at, c.here = i, s
	if binary.NativeEndian.Uint32(content[i*elementSize:]) != 0 {
		return c.nested()
	}
	return content[s.start:s.middle:s.middle], content[s.middle:s.end:s.end]
}

// enter makes a page the leaf, or, and then it returns true, the lowest branch. In that
// case leaf is the branch until a leaf is entered.
func (c *Cursor) enter(id uint64, first []byte) bool {
	c.id, c.at = id, 0
	switch {
	case c.depth > 0:
		c.tree.tx.read(&c.leaf, id, first)
	case c.top.content != nil:
		c.leaf = c.top
	default:
		c.tree.readRoot(&c.leaf)
		c.top = c.leaf
	}
	if c.leaf.flags == flagLeaf {
		return false
	}
	if c.depth == len(c.above) {
		bad(id, "is deeper than any tree grows")
	}
	c.above[c.depth] = place{id: id, count: c.leaf.count}
	c.depth++
	return true
}

// descend moves from the place in the lowest branch to the first leaf below it, or, if
// step is -1, to the last one.
func (c *Cursor) descend(step int) {
	for {
		top := &c.above[c.depth-1]
		branch := c.tree.tx.again(top.id)
		first, id := branch.childAt(top.id, int(top.index))
		if !c.enter(id, first) {
			return
		}
		if step < 0 {
			c.above[c.depth-1].index = c.leaf.count - 1
		}
	}
}

// leap moves to the first element of the next leaf, or, if step is -1, to the last one of
// the leaf before. If there is no such leaf, it stays.
func (c *Cursor) leap(step int) (key, value []byte) {
	for level := c.depth - 1; level >= 0; level-- {
		at := &c.above[level]
		i := int(at.index) + step
		if i < 0 || i >= int(at.count) {
			continue
		}
		before, depth := c.leaf.content[c.here.start:c.here.middle], c.depth
		at.index = uint16(i)
		c.depth = level + 1
		c.descend(step)
		if c.depth != depth {
			bad(c.id, "is not as deep in its tree as others of its kind")
		}
		i = 0
		if step < 0 {
			i = int(c.leaf.count) - 1
		}
		key, value = c.land(i)
		if order := bytes.Compare(key, before); order != step {
			bad(c.id, "has keys that do not follow those of the page beside it")
		}
		return key, value
	}
	return nil, nil
}

// land moves to an element of the leaf, if it has any.
func (c *Cursor) land(i int) (key, value []byte) {
	if c.leaf.count == 0 {
		return nil, nil
	}
	s, content := c.leaf.leafSpan(i), c.leaf.content
	if !c.leaf.contains(s) || !c.closed(i, s.end) || i > 0 && c.leaf.leafSpan(i-1).end != s.start {
		bad(c.id, "%s", c.leaf.badElement(i))
	}
	c.at, c.here = i, s
	if binary.NativeEndian.Uint32(content[i*elementSize:]) != 0 {
		return c.nested()
	}
	return content[s.start:s.middle:s.middle], content[s.middle:s.end:s.end]
}

// closed reports whether the next element begins at the end of an element, or, at the last
// one, whether the page ends not far behind it.
func (c *Cursor) closed(i, end int) bool {
	if i+1 < int(c.leaf.count) {
		i++
		return i*elementSize+int(binary.NativeEndian.Uint32(c.leaf.content[i*elementSize+4:])) == end
	}
	return len(c.leaf.content)-end < c.tree.slack
}

// less reports whether key a comes before key b. Most keys differ in their first bytes, so
// it looks at these first.
func less(a, b []byte) bool {
	return len(a) >= 8 && len(b) >= 8 && binary.BigEndian.Uint64(a) < binary.BigEndian.Uint64(b) || string(a) < string(b)
}

// nested returns the key of the element, which is not a value but a bucket.
func (c *Cursor) nested() (key, value []byte) {
	if binary.NativeEndian.Uint32(c.leaf.content[c.at*elementSize:]) != bucketElement {
		bad(c.id, "%s", c.leaf.badElement(c.at))
	}
	return c.leaf.content[c.here.start:c.here.middle:c.here.middle], nil
}

// bucket returns the bucket at the cursor, which must be at a bucket.
func (c *Cursor) bucket() *Tree {
	value := c.leaf.content[c.here.middle:c.here.end:c.here.end]
	if len(value) >= bucketSize {
		if root := binary.NativeEndian.Uint64(value); root != 0 {
			return &Tree{tx: c.tree.tx, root: root, first: bucketRoot, slack: c.tree.tx.size}
		}
	}
	if len(value) < bucketSize+headerSize {
		bad(c.id, "has a damaged bucket %q", c.leaf.content[c.here.start:c.here.middle])
	}
	return &Tree{tx: c.tree.tx, root: c.id, inline: value[bucketSize:], slack: 1}
}

// span says where an element lies in the content of its page: its key from start to
// middle, and its value from middle to end. It may be wrong; see contains.
type span struct{ start, middle, end int }

// leafSpan returns where an element of a leaf lies according to the table, which must have
// room for it.
func (p *page) leafSpan(i int) (s span) {
	e, order := p.content[i*elementSize:][:elementSize], binary.NativeEndian
	s.start = i*elementSize + int(order.Uint32(e[4:]))
	s.middle = s.start + int(order.Uint32(e[8:]))
	s.end = s.middle + int(order.Uint32(e[12:]))
	return s
}

// branchSpan is leafSpan for a branch.
func (p *page) branchSpan(i int) (s span) {
	e, order := p.content[i*elementSize:][:elementSize], binary.NativeEndian
	s.start = i*elementSize + int(order.Uint32(e))
	s.middle = s.start + int(order.Uint32(e[4:]))
	s.end = s.middle
	return s
}

// contains reports whether an element lies in the page and has a key. Its numbers may have
// overflowed.
func (p *page) contains(s span) bool {
	return 0 <= s.start && s.start < s.middle && s.middle <= s.end && s.end <= len(p.content)
}

// search returns the first element whose key is not less than a key, or the number of
// elements, and whether the keys are equal.
func (p *page) search(id uint64, key []byte) (i int, equal bool) {
	content, order := p.content, binary.NativeEndian
	field := 0 // in an element: where the offset of the key is; its size follows
	if p.flags == flagLeaf {
		field = 4
	}
	low, high := 0, int(p.count)
	for low < high {
		middle := int(uint(low+high) >> 1)
		e := content[middle*elementSize+field:][:8]
		start := middle*elementSize + int(order.Uint32(e))
		end := start + int(order.Uint32(e[4:]))
		if start < 0 || start >= end || end > len(content) {
			bad(id, "%s", p.badElement(middle))
		}
		switch compare(content[start:end], key) {
		case -1:
			low = middle + 1
		case 0:
			return middle, true
		default:
			high = middle
		}
	}
	return low, false
}

// compare is bytes.Compare. Most keys differ in their first bytes, so it looks at these
// first.
func compare(a, b []byte) int {
	if len(a) >= 8 && len(b) >= 8 {
		a, b := binary.BigEndian.Uint64(a), binary.BigEndian.Uint64(b)
		if a < b {
			return -1
		}
		if a > b {
			return 1
		}
	}
	return bytes.Compare(a, b)
}

// childAt returns the key and page of a branch's element, which must follow the one before
// it and be followed by the next one.
func (p *page) childAt(id uint64, i int) (key []byte, child uint64) {
	s := p.branchSpan(i)
	if !p.contains(s) || i > 0 && p.branchSpan(i-1).end != s.start || i+1 < int(p.count) && p.branchSpan(i+1).start != s.end {
		bad(id, "%s", p.badElement(i))
	}
	return p.content[s.start:s.middle:s.middle], p.childID(i)
}
