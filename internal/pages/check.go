package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10

	bucketElement = 0x01

	elementSize  = 16
	bucketSize   = 16
	largestValue = 256 << 20 // bytes of one value; far more than the largest record takes
	deepest      = 64        // levels of trees within trees
)

// Finding is a fault of a page.
type Finding struct {
	Page uint64
	// Bucket is the name of the top-level bucket to whose tree the page belongs. It
	// is "" for the pages above the top-level buckets and for the list of free
	// pages.
	Bucket  string
	Problem string
	// Free is true if the fault is in the list of free pages, which concerns writers
	// only.
	Free bool
}

// CheckOptions are options of Check. The zero value checks all pages.
type CheckOptions struct {
	// Branches leaves out most leaves, and so all but about a hundredth of the
	// pages. Below each branch it reads the last leaf only, and of the leaves that
	// hold buckets all. It finds what leads a reader to a wrong page, and most of what
	// makes a transaction overwrite pages that are in use.
	Branches bool
	// Leaves names top-level buckets whose leaves are read even if Branches is true.
	Leaves []string
	// Ignore names top-level buckets whose pages are not read.
	Ignore []string
	// Interrupted, if not nil, is called between pages; its error ends the check.
	Interrupted func() error
}

// Check walks all pages of the file as meta describes it and reports pages that are
// damaged, in use twice, or both in use and free. The file must not change
// meanwhile. Check needs a bit of memory for each page. Its errors are those of r
// and of Interrupted.
func Check(r io.ReaderAt, meta Meta, o CheckOptions, report func(Finding)) error {
	if o.Interrupted == nil {
		o.Interrupted = func() error { return nil }
	}
	c := &checker{file: r, meta: meta, CheckOptions: o, report: report, used: newBitmap(meta.HighWater)}
	c.used.set(0)
	c.used.set(1)
	if err := c.tree(meta.Root, anyRoot, 0); err != nil {
		return err
	}
	if meta.Freelist == noFreelist {
		return nil
	}
	free, err := Freelist(r, meta)
	if errors.Is(err, ErrDamaged) {
		c.report(Finding{Page: meta.Freelist, Problem: "is damaged: " + err.Error(), Free: true})
		return nil
	}
	if err != nil {
		return err
	}
	list, _, err := readPage(r, meta, meta.Freelist, nil)
	if err != nil {
		return err
	}
	c.take(meta.Freelist, list.overflow)
	for _, id := range free {
		if err := c.free(id); err != nil {
			return err
		}
	}
	return nil
}

// Freelist returns the ids of the free pages, in ascending order. It returns
// [ErrDamaged] if the list is inconsistent.
func Freelist(r io.ReaderAt, meta Meta) ([]uint64, error) {
	if meta.Freelist == noFreelist {
		return nil, nil
	}
	page, problem, err := readPage(r, meta, meta.Freelist, nil)
	if err != nil {
		return nil, err
	}
	if problem == "" && page.flags != flagFreelist {
		problem = "is not a list of free pages"
	}
	count, rest := uint64(page.count), page.content
	if problem == "" && count == 0xffff {
		count, rest = binary.NativeEndian.Uint64(rest), rest[8:]
	}
	if problem == "" && count > uint64(len(rest)/8) {
		problem = "lists more free pages than it has room for"
	}
	if problem != "" {
		return nil, damagef("page %d %s", meta.Freelist, problem)
	}
	free := make([]uint64, count)
	for i := range free {
		free[i] = binary.NativeEndian.Uint64(rest[8*i:])
		if free[i] < 2 || free[i] >= meta.HighWater || i > 0 && free[i] <= free[i-1] {
			return nil, damagef("the list of free pages, page %d, names page %d out of place", meta.Freelist, free[i])
		}
	}
	if _, listed := slices.BinarySearch(free, meta.Freelist); listed {
		return nil, damagef("the list of free pages, page %d, names itself", meta.Freelist)
	}
	return free, nil
}

type checker struct {
	CheckOptions
	file   io.ReaderAt
	meta   Meta
	report func(Finding)
	bucket string   // the top-level bucket that is walked
	leaves int      // depth of the bucket's leaves, if they are left out; 0: not known
	used   bitmap   // pages in use, as far as the walk has come
	rooms  [][]byte // scratch memory for a page at each depth

	// before is the last page in use before some free ones, and the last page of its
	// overflow. Free pages come in runs.
	before struct{ id, last uint64 }
	run    struct{ free, used uint64 } // the last free page, and the last page in use up to it
}

func (c *checker) found(id uint64, problem string) {
	c.report(Finding{Page: id, Bucket: c.bucket, Problem: problem})
}

// take marks a page and its overflow as used. It reports false if one was used
// already.
func (c *checker) take(id uint64, overflow uint32) bool {
	for i := id; i <= id+uint64(overflow); i++ {
		if c.used.get(i) {
			c.found(i, "is in use twice")
			return false
		}
		c.used.set(i)
	}
	return true
}

// free checks that a page in the list of free pages is not in use: neither itself
// nor as overflow of the page in use before it.
func (c *checker) free(id uint64) error {
	before := id
	for !c.used.get(before) && before != c.run.free {
		before--
	}
	if before == c.run.free {
		before = c.run.used
	}
	c.run.free, c.run.used = id, before
	if before > 1 && before < id && before != c.before.id && c.Branches {
		p, problem, err := readPage(c.file, c.meta, before, nil)
		if err != nil {
			return err
		}
		c.before.id, c.before.last = before, before
		if problem == "" && p.flags == flagLeaf {
			c.before.last += uint64(p.overflow)
		}
	}
	if before == id || before == c.before.id && id <= c.before.last {
		c.report(Finding{Page: id, Problem: "is in use, and in the list of free pages", Free: true})
	}
	return nil
}

// read reads a page at a depth. The page is valid until the next read at that depth.
func (c *checker) read(id uint64, depth int) (p page, problem string, err error) {
	for len(c.rooms) <= depth {
		c.rooms = append(c.rooms, nil)
	}
	return readPage(c.file, c.meta, id, &c.rooms[depth])
}

// tree checks a page and those below it. first is that of tableProblem.
func (c *checker) tree(id uint64, first []byte, depth int) error {
	if err := c.Interrupted(); err != nil {
		return err
	}
	if depth > deepest {
		c.found(id, "is deeper than any tree grows")
		return nil
	}
	p, problem, err := c.read(id, depth)
	if err != nil {
		return err
	}
	return c.page(id, p, problem, first, depth)
}

// page checks a page that was read, with its problem or "", and those below it.
func (c *checker) page(id uint64, p page, problem string, first []byte, depth int) error {
	if problem == "" {
		problem = p.problem(first, int64(c.meta.PageSize))
	}
	if problem == "" && c.leaves > 0 && (p.flags == flagLeaf) != (depth == c.leaves) {
		problem = "is not as deep in its tree as others of its kind"
	}
	if problem != "" {
		c.found(id, problem)
		return nil
	}
	if !c.take(id, p.overflow) {
		return nil
	}
	if p.flags == flagBranch {
		return c.branch(p, depth)
	}
	if c.onlyBranches() && !p.holdsBuckets() {
		c.leaves = depth
	}
	return c.leaf(id, p, depth)
}

// onlyBranches reports whether leaves of the current bucket are left out.
func (c *checker) onlyBranches() bool {
	return c.Branches && !slices.Contains(c.Leaves, c.bucket)
}

// branch checks the children of a branch, which are all leaves or all branches. If
// leaves are left out, the last one stands for all.
func (c *checker) branch(p page, depth int) error {
	if c.onlyBranches() && depth < deepest {
		last, ok, err := c.lastLeaf(p, depth+1)
		if err != nil {
			return err
		}
		if ok {
			c.takeUnread(p)
			key, id, _ := p.child(int(p.count) - 1)
			return c.page(id, last, "", key, depth+1)
		}
	}
	for i := range int(p.count) {
		key, id, _ := p.child(i)
		if err := c.tree(id, key, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// lastLeaf returns the last child of a branch above leaves that are left out, and
// whether it is such a leaf. A branch that skips a level, and leads to a leaf among
// branches, is found by the depth of the tree's other leaves or, if none was read
// yet, by the first child.
func (c *checker) lastLeaf(p page, depth int) (last page, ok bool, err error) {
	if c.leaves > 0 && c.leaves != depth {
		return page{}, false, nil
	}
	if c.leaves == 0 {
		_, id, _ := p.child(0)
		if first, _, err := c.read(id, depth); err != nil || first.flags == flagBranch {
			return page{}, false, err
		}
	}
	_, id, _ := p.child(int(p.count) - 1)
	last, problem, err := c.read(id, depth)
	return last, problem == "" && last.flags == flagLeaf && !last.holdsBuckets(), err
}

// takeUnread marks all children of a branch but the last as used.
func (c *checker) takeUnread(p page) {
	for i := range int(p.count) - 1 {
		switch id := p.childID(i); {
		case id < 2 || id >= c.meta.HighWater:
			c.found(id, fmt.Sprintf("is not one of pages 2 to %d", c.meta.HighWater-1))
		case c.used.get(id):
			c.found(id, "is in use twice")
		default:
			c.used.set(id)
		}
	}
}

func (c *checker) leaf(id uint64, p page, depth int) error {
	for i := range int(p.count) {
		name, value, flags, _ := p.element(i)
		if flags&bucketElement == 0 || c.bucket == "" && slices.Contains(c.Ignore, string(name)) {
			continue
		}
		if len(value) < bucketSize {
			c.found(id, fmt.Sprintf("has a damaged bucket %q", name))
			continue
		}
		outer, leaves := c.bucket, c.leaves
		c.leaves = 0
		if outer == "" {
			c.bucket = string(name)
		}
		if root := binary.NativeEndian.Uint64(value); root != 0 {
			if err := c.tree(root, bucketRoot, depth+1); err != nil {
				return err
			}
		} else if problem := inlineProblem(value[bucketSize:]); problem != "" {
			c.found(id, fmt.Sprintf("has a damaged bucket %q: its page, within this one, %s", name, problem))
		}
		c.bucket, c.leaves = outer, leaves
	}
	return nil
}

type bitmap []uint64

func newBitmap(n uint64) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) get(i uint64) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) set(i uint64)      { b[i/64] |= 1 << (i % 64) }
