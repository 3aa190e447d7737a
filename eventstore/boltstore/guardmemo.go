package boltstore

import (
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// A guard that reaches far back is often judged again and again, with each append
// to what it guards: "nothing has closed this account". The log only grows, so
// what did not match up to a position never will; only what came since has to be
// looked through the next time.

// guardMemo remembers what guards were found to hold over. It is bounded.
type guardMemo struct {
	mu    sync.Mutex
	holds map[string]stretch // by query
}

// stretch is a range of positions without a match: from behind after up to through.
type stretch struct{ after, through eventstore.Position }

const (
	memoGuards = 4096
	memoQuery  = 512 // bytes of a query that is remembered, at most
	memoFar    = 256 // positions: a guard that reaches back less is looked through faster than remembered
)

// since returns the position behind which the guard has to be looked through.
func (m *guardMemo) since(query []byte, after eventstore.Position) eventstore.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.holds[string(query)]; ok && known.after <= after {
		return max(after, known.through)
	}
	return after
}

// note remembers that nothing behind after, up to through, matches. What was known
// already is part of it if since made use of it.
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

// appendQuery appends what the query says. Names hold no NUL, so no two queries say
// the same.
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
