// Package guardmemo remembers over which positions a guard was found to hold.
//
// A guard that reaches far back, such as "no event has closed this account", is judged again
// with each append to what it guards. The log only grows, so a range of positions without a
// match stays without one: the next time, only the positions after it are searched.
package guardmemo

import (
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Memo remembers ranges of positions without a match of a query. It is bounded. The zero
// Memo is ready for use. It is safe for concurrent use by multiple goroutines.
type Memo struct {
	mu    sync.Mutex
	holds map[string]stretch // by the query, see appendQuery
}

// stretch is the range of positions greater than after, up to and including through.
type stretch struct{ after, through eventstore.Position }

const (
	maxQueries = 4096
	far        = 256 // positions; to search fewer is faster than to remember them
)

// KeyBytes is the size of the largest key. Longer queries are not remembered.
const KeyBytes = 512

// Since returns the position after which the positions up to head must be searched for a
// match of q after a position, and the key for Note, which is appended to buf; nil if the
// query is not worth remembering.
func (m *Memo) Since(buf []byte, q eventstore.Query, after, head eventstore.Position) (from eventstore.Position, key []byte) {
	if head-after <= far || q.IsAll() {
		return after, nil
	}
	if key = appendQuery(buf, q); len(key) > KeyBytes {
		return after, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.holds[string(key)]; ok && known.after <= after {
		return max(after, known.through), key
	}
	return after, key
}

// Note remembers that no event after a position, up to through, matches the query with this
// key. It joins the range with a known one that overlaps it. A nil key is passed over.
func (m *Memo) Note(key []byte, after, through eventstore.Position) {
	if key == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.holds[string(key)]
	if ok && known.after <= after && known.through >= after {
		after, through = known.after, max(known.through, through)
	}
	if !ok && len(m.holds) >= maxQueries {
		for some := range m.holds {
			delete(m.holds, some)
			break
		}
	}
	if m.holds == nil {
		m.holds = make(map[string]stretch)
	}
	m.holds[string(key)] = stretch{after, through}
}

// appendQuery appends an encoding of the query. Names hold no NUL, so two different queries
// have different encodings.
func appendQuery(b []byte, q eventstore.Query) []byte {
	for _, item := range q.Items() {
		b = append(b, 'i')
		b = appendNames(b, 's', item.Streams)
		b = appendNames(b, 'c', item.Categories)
		b = appendNames(b, 't', item.Types)
		b = appendNames(b, 'g', item.Tags)
	}
	return b
}

func appendNames[S ~string](b []byte, kind byte, names []S) []byte {
	for _, name := range names {
		b = append(append(append(b, kind), name...), 0)
	}
	return b
}
