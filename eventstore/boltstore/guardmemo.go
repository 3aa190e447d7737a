package boltstore

import (
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// A guard that reaches far back, such as "no event has closed this account", is judged again
// with each append to what it guards. The log only grows, so a range of positions without a
// match stays without one: the next time, only the positions after it are searched.

// guardMemo remembers ranges of positions without a match of a query. It is bounded. The
// zero guardMemo is ready for use, by multiple goroutines.
type guardMemo struct {
	mu    sync.Mutex
	holds map[string]stretch // by the query, see appendQuery
}

// stretch is the range of positions greater than after, up to and including through.
type stretch struct{ after, through eventstore.Position }

const (
	memoGuards = 4096 // queries
	memoQuery  = 512  // bytes of a query; longer ones are not remembered
	memoFar    = 256  // positions; to search fewer is faster than to remember them
)

// since returns the position after which the query must be searched for a match after
// after.
func (m *guardMemo) since(query []byte, after eventstore.Position) eventstore.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.holds[string(query)]; ok && known.after <= after {
		return max(after, known.through)
	}
	return after
}

// note remembers that no event after after, up to through, matches. It joins the range with
// a known one that overlaps it.
func (m *guardMemo) note(query []byte, after, through eventstore.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.holds[string(query)]
	if ok && known.after <= after && known.through >= after {
		after, through = known.after, max(known.through, through)
	}
	if !ok && len(m.holds) >= memoGuards {
		for some := range m.holds {
			delete(m.holds, some)
			break
		}
	}
	if m.holds == nil {
		m.holds = make(map[string]stretch)
	}
	m.holds[string(query)] = stretch{after, through}
}

// appendQuery appends an encoding of the query. Names hold no NUL, so two different queries
// have different encodings.
func appendQuery(b []byte, q eventstore.Query) []byte {
	for _, item := range q.Items() {
		b = append(b, 'i')
		b = appendNames(b, streamTerm, item.Streams)
		b = appendNames(b, categoryTerm, item.Categories)
		b = appendNames(b, typeTerm, item.Types)
		b = appendNames(b, tagTerm, item.Tags)
	}
	return b
}

func appendNames[S ~string](b []byte, kind byte, names []S) []byte {
	for _, name := range names {
		b = append(append(append(b, kind), name...), 0)
	}
	return b
}
