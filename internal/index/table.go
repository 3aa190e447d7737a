package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// A table holds the latest postings in memory: a hash table of terms, each with a
// list of postings in order. One goroutine adds.
//
// A log of many streams has hundreds of thousands of terms. A garbage collector that
// follows a pointer to each would take more time than the table takes to fill. So a
// table is a few large slices without pointers: terms refer to lists, and to long
// names, by numbers.
//
// A table copies names, since a caller's string may be a small part of a large one.
type table struct {
	first eventstore.Position // first position of the table, whether it has an event yet or not

	mu    sync.RWMutex
	last  eventstore.Position // last position that was added; first-1 if there is none
	seed  maphash.Seed
	slots []uint32 // by hash: number of a term, plus 1; the length is a power of 2
	terms []tableTerm
	names arena[byte]   // long ones
	words arena[uint32] // chunks of the lists
	again [8]uint32     // numbers of the terms of the last entry
	nth   int           // index in again of the next term of the entry that is being added

	unknown atomic.Bool // the table has, or had, events that could not be read
}

// tableTerm is a term of a table. A lookup costs about one cache miss for each cache
// line that it reads, so a term is one cache line, with its name.
type tableTerm struct {
	hash       uint32
	head, tail uint32 // chunks of its list
	count      uint32 // postings
	size       uint16 // of the name
	kind       byte
	name       [shortName]byte // or, for a longer name, its address in names
}

const shortName = 45

// A list is a chain of chunks of growing size. A chunk is, in words:
//
//	previous chunk | next chunk | postings in it | capacity | postings
//
// A posting is its position less the table's first and, in a stream's list, the two
// halves of the version.
const (
	chunkPrevious = iota
	chunkNext
	chunkUsed
	chunkRoom
	chunkHeader

	maxChunk = 256 // postings
)

// tableSize are the sizes with which a table is made so that it need not grow to
// hold as much as an earlier one.
type tableSize struct{ slots, terms int }

func newTable(first eventstore.Position, like tableSize) *table {
	return &table{
		first: first, last: first - 1,
		seed:  maphash.MakeSeed(),
		slots: make([]uint32, max(1024, like.slots)),
		terms: make([]tableTerm, 0, max(512, like.terms)),
	}
}

// bytes returns about how many bytes the table's content takes.
func (t *table) bytes() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	const perTerm = 64 + 8 // with its slots
	return t.names.size() + 4*t.words.size() + perTerm*len(t.terms)
}

func (t *table) through() eventstore.Position {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.last
}

func (t *table) size() tableSize { return tableSize{len(t.slots), len(t.terms)} }

// addBatch is how many entries are added before the lock is released for readers.
const addBatch = 64

// add adds the next n entries of the log. Readers that look no further than the
// durable head do not see them until it has moved.
func (t *table) add(n int, entry func(i int) Entry) {
	for start := 0; start < n; start += addBatch {
		t.mu.Lock()
		for i := start; i < min(n, start+addBatch); i++ {
			e := entry(i)
			if e.Unknown {
				t.unknown.Store(true)
			}
			t.nth = 0
			e.each(t.put)
			t.last = e.Position
		}
		t.mu.Unlock()
	}
}

// undo removes the last n entries, which are passed in their order.
func (t *table) undo(n int, entry func(i int) Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := n - 1; i >= 0; i-- {
		e := entry(i)
		e.each(func(kind byte, name string, _ posting) {
			if x := t.look(kind, name); x != nil {
				t.pop(x)
			}
		})
		t.last = e.Position - 1
	}
}

// put adds a posting. The caller holds mu.
func (t *table) put(kind byte, name string, p posting) {
	x := t.at(kind, name)
	width := width(kind)
	chunk := t.words.at(x.tail)
	if x.tail == 0 || chunk[chunkUsed] == chunk[chunkRoom] {
		chunk = t.grow(x, width)
	}
	at := chunk[chunkHeader+chunk[chunkUsed]*width:]
	at[0] = uint32(p.position - t.first)
	if width > 1 {
		at[1], at[2] = uint32(p.version>>32), uint32(p.version)
	}
	chunk[chunkUsed]++
	x.count++
}

// at returns the term, which it adds if it is missing. It first tries the terms of
// the entry before, since events that follow each other often have the same type,
// stream or tags.
func (t *table) at(kind byte, name string) *tableTerm {
	again := &t.again[t.nth%len(t.again)]
	t.nth++
	if n := *again; n < uint32(len(t.terms)) {
		if x := &t.terms[n]; t.is(x, kind, name) {
			return x
		}
	}
	hash := t.hash(kind, name)
	n, ok := t.find(hash, kind, name)
	if !ok {
		n = t.insert(hash, kind, name)
	}
	*again = n
	return &t.terms[n]
}

// width returns the size of a posting in words.
func width(kind byte) uint32 {
	if kind == kindStream {
		return 3
	}
	return 1
}

// grow appends an empty chunk to the term's list.
func (t *table) grow(x *tableTerm, width uint32) []uint32 {
	room := min(maxChunk, max(1, x.count)) // doubles the list, at first
	address := t.words.take(int(chunkHeader + room*width))
	chunk := t.words.at(address)
	chunk[chunkPrevious], chunk[chunkRoom] = x.tail, room
	if x.tail == 0 {
		x.head = address
	} else {
		t.words.at(x.tail)[chunkNext] = address
	}
	x.tail = address
	return chunk
}

// pop removes the last posting of the term's list.
func (t *table) pop(x *tableTerm) {
	chunk := t.words.at(x.tail)
	chunk[chunkUsed]--
	x.count--
	if chunk[chunkUsed] > 0 {
		return
	}
	if x.tail = chunk[chunkPrevious]; x.tail == 0 {
		x.head = 0
	} else {
		t.words.at(x.tail)[chunkNext] = 0
	}
}

func (t *table) hash(kind byte, name string) uint32 {
	h := maphash.String(t.seed, name) + uint64(kind)*0x9e3779b97f4a7c15
	return uint32(h ^ h>>32)
}

// find returns the number of the term, and whether the table has it.
func (t *table) find(hash uint32, kind byte, name string) (uint32, bool) {
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; t.slots[i] != 0; i = (i + 1) & mask {
		n := t.slots[i] - 1
		if x := &t.terms[n]; x.hash == hash && t.is(x, kind, name) {
			return n, true
		}
	}
	return 0, false
}

// look returns the term, or nil.
func (t *table) look(kind byte, name string) *tableTerm {
	n, ok := t.find(t.hash(kind, name), kind, name)
	if !ok {
		return nil
	}
	return &t.terms[n]
}

func (t *table) is(x *tableTerm, kind byte, name string) bool {
	return x.kind == kind && int(x.size) == len(name) && string(t.name(x)) == name
}

// name returns the term's name.
func (t *table) name(x *tableTerm) []byte {
	if x.size <= shortName {
		return x.name[:x.size]
	}
	return t.names.at(binary.NativeEndian.Uint32(x.name[:]))[:x.size]
}

// insert adds a term that the table lacks and returns its number.
func (t *table) insert(hash uint32, kind byte, name string) uint32 {
	if 2*len(t.terms) >= len(t.slots) {
		t.slots = make([]uint32, 2*len(t.slots))
		for i := range t.terms {
			t.occupy(t.terms[i].hash, i)
		}
	}
	x := tableTerm{hash: hash, kind: kind, size: uint16(len(name))}
	if len(name) > shortName {
		binary.NativeEndian.PutUint32(x.name[:], t.names.take(len(name)))
	}
	copy(t.name(&x), name)
	t.occupy(hash, len(t.terms))
	t.terms = append(t.terms, x)
	return uint32(len(t.terms) - 1)
}

// occupy takes a slot for a term's number.
func (t *table) occupy(hash uint32, number int) {
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = uint32(number) + 1
}

// list returns the term's list, or nil.
func (t *table) list(kind byte, name string) list {
	t.mu.RLock()
	defer t.mu.RUnlock()
	x := t.look(kind, name)
	if x == nil || x.count == 0 {
		return nil
	}
	dense := x.count >= denseCount && uint64(t.last-t.first+1) <= denseGap*uint64(x.count)
	return &tableList{table: t, head: x.head, tail: x.tail, width: width(kind), isDense: dense}
}

// before returns the term's last posting up to p, or zeros.
func (t *table) before(kind byte, name string, p eventstore.Position) posting {
	t.mu.RLock()
	defer t.mu.RUnlock()
	x := t.look(kind, name)
	if x == nil {
		return posting{}
	}
	l := tableList{table: t, width: width(kind)}
	var found [1]posting
	if last := l.loadBackward(x.tail, p, found[:0]); len(last) > 0 {
		return last[0]
	}
	return posting{}
}

// tableList is a list in a table as of its lookup, or later.
type tableList struct {
	table      *table
	head, tail uint32
	width      uint32
	isDense    bool
}

func (l *tableList) dense() bool { return l.isDense }

// load implements list.
func (l *tableList) load(p eventstore.Position, backward bool, into []posting) []posting {
	t := l.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	into = into[:0]
	if backward {
		return l.loadBackward(l.tail, p, into)
	}
	for address := l.head; address != 0; {
		chunk := t.words.at(address)
		if used := chunk[chunkUsed]; used > 0 && l.posting(chunk, used-1).position >= p {
			for i := range used {
				at := l.posting(chunk, i)
				if at.position < p {
					continue
				}
				if into = append(into, at); len(into) == cap(into) {
					return into
				}
			}
		}
		address = chunk[chunkNext]
	}
	return into
}

// loadBackward is load backward from the chunk at an address. The caller holds mu.
func (l *tableList) loadBackward(address uint32, p eventstore.Position, into []posting) []posting {
	for address != 0 {
		chunk := l.table.words.at(address)
		used := int(chunk[chunkUsed])
		if used > 0 && l.posting(chunk, 0).position <= p {
			for i := used - 1; i >= 0; i-- {
				at := l.posting(chunk, uint32(i))
				if at.position > p {
					continue
				}
				if into = append(into, at); len(into) == cap(into) {
					return into
				}
			}
		}
		address = chunk[chunkPrevious]
	}
	return into
}

func (l *tableList) posting(chunk []uint32, i uint32) posting {
	words := chunk[chunkHeader+i*l.width:]
	p := posting{position: l.table.first + eventstore.Position(words[0])}
	if l.width > 1 {
		p.version = eventstore.Version(words[1])<<32 | eventstore.Version(words[2])
	}
	return p
}

// walk calls fn for each posting, by term and position, until fn returns an error.
// The table must be frozen.
func (t *table) walk(fn func(term []byte, p posting) error) error {
	order := make([]uint32, 0, len(t.terms))
	for i := range t.terms {
		if t.terms[i].count > 0 {
			order = append(order, uint32(i))
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		x, y := &t.terms[a], &t.terms[b]
		return cmp.Or(cmp.Compare(x.kind, y.kind), bytes.Compare(t.name(x), t.name(y)))
	})
	term := make([]byte, 0, maxTerm)
	for _, i := range order {
		x := &t.terms[i]
		term = appendTerm(term[:0], x.kind, t.name(x))
		l := tableList{table: t, width: width(x.kind)}
		for address := x.head; address != 0; {
			chunk := t.words.at(address)
			for i := range chunk[chunkUsed] {
				if err := fn(term, l.posting(chunk, i)); err != nil {
					return err
				}
			}
			address = chunk[chunkNext]
		}
	}
	return nil
}

// arena is memory that is allocated in pieces and freed as a whole. It grows by
// pages, so nothing is ever copied. Address 0 is never returned by take.
type arena[T any] struct {
	pages [][]T
	used  int // of the last page
}

const arenaPage = 1 << 15 // elements; a piece is never larger

// take returns the address of n zero elements that lie side by side.
func (a *arena[T]) take(n int) uint32 {
	if len(a.pages) == 0 || a.used+n > arenaPage {
		a.pages = append(a.pages, make([]T, arenaPage))
		a.used = 0
		if len(a.pages) == 1 {
			a.used = 1
		}
	}
	address := uint32((len(a.pages)-1)*arenaPage + a.used)
	a.used += n
	return address
}

// at returns the elements from an address on, none for address 0.
func (a *arena[T]) at(address uint32) []T {
	if address == 0 {
		return nil
	}
	return a.pages[address/arenaPage][address%arenaPage:]
}

// size returns how many elements were taken.
func (a *arena[T]) size() int { return max(0, len(a.pages)-1)*arenaPage + a.used }
