package index

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

// tableModel is a table and the same lists as slices.
type tableModel struct {
	table *table
	lists map[string][]posting // by kind and name
	added []Entry
}

// entry returns an event at the next position or somewhat later. Versions are of any
// size and sometimes skip numbers.
func (m *tableModel) entry(random *rand.Rand) Entry {
	p := m.table.first
	if n := len(m.added); n > 0 {
		p = m.added[n-1].Position + 1
	}
	e := Entry{Position: p + eventstore.Position(random.IntN(2)*random.IntN(1000)), Type: fmt.Sprint("t", random.IntN(3))}
	for i := range random.IntN(3) {
		e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint(i, ":", random.IntN(900))))
	}
	if random.IntN(5) > 0 {
		e.Stream = eventstore.StreamID(fmt.Sprint("s-", random.IntN(40)))
		e.Version = 1 + eventstore.Version(random.Int64N(2)*random.Int64N(1<<40))
		if list := m.lists["s"+string(e.Stream)]; len(list) > 0 {
			e.Version += list[len(list)-1].version
		}
	}
	if random.IntN(3) == 0 {
		e.Key = fmt.Sprint("k", p)
	}
	return e
}

func (m *tableModel) add(group []Entry) {
	m.table.add(len(group), func(i int) Entry { return group[i] })
	m.added = append(m.added, group...)
	for _, e := range group {
		e.each(func(kind byte, name string, p posting) {
			term := string(kind) + name
			m.lists[term] = append(m.lists[term], p)
		})
	}
}

func (m *tableModel) undo(n int) {
	group := m.added[len(m.added)-n:]
	m.table.undo(n, func(i int) Entry { return group[i] })
	m.added = m.added[:len(m.added)-n]
	for _, e := range group {
		e.each(func(kind byte, name string, _ posting) {
			term := string(kind) + name
			if m.lists[term] = m.lists[term][:len(m.lists[term])-1]; len(m.lists[term]) == 0 {
				delete(m.lists, term)
			}
		})
	}
}

// group returns n entries that may come next.
func (m *tableModel) group(random *rand.Rand, n int) (group []Entry) {
	for range n {
		m.add([]Entry{m.entry(random)})
	}
	group = slices.Clone(m.added[len(m.added)-n:])
	m.undo(n)
	return group
}

// requireLoads compares list.load from random positions, in both directions and with
// buffers of random size, with the slice.
func requireLoads(t *testing.T, random *rand.Rand, l list, want []posting) {
	last := want[len(want)-1].position
	for _, size := range []int{1, 2, 3, 4, 7, 16, 256, 1000} {
		into := make([]posting, size)
		for range 4 {
			p := want[random.IntN(len(want))].position - 1 + eventstore.Position(random.IntN(3))
			if random.IntN(9) == 0 {
				p = eventstore.Position(random.Uint64N(uint64(last) + 9))
			}
			start := sort.Search(len(want), func(i int) bool { return want[i].position >= p })
			requireSome(t, want[start:], l.load(p, false, into), size)
			end := sort.Search(len(want), func(i int) bool { return want[i].position > p })
			before := slices.Clone(want[:end])
			slices.Reverse(before)
			requireSome(t, before, l.load(p, true, into), size)
		}
	}
}

// requireSome requires that the loaded postings are a prefix of all, at least one,
// and at most as many as there was room for.
func requireSome(t *testing.T, all, got []posting, room int) {
	require.LessOrEqual(t, len(got), min(room, len(all)))
	if len(all) > 0 {
		require.NotEmpty(t, got)
	}
	if !slices.Equal(all[:len(got)], got) {
		require.Equal(t, all[:len(got)], got)
	}
}

func TestTable_AgreesWithSlices(t *testing.T) {
	t.Parallel()
	for _, first := range []eventstore.Position{1, 1 << 33} {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		m := &tableModel{table: newTable(first, tableSize{}), lists: map[string][]posting{}}
		require.Equal(t, first-1, m.table.through())
		for range 12 {
			for range 8 {
				m.add(m.group(random, random.IntN(30)+random.IntN(40)/39*500))
			}
			n := 1 + random.IntN(min(300, len(m.added)-1))
			undone := m.added[len(m.added)-n].Position
			m.undo(n)
			require.Equal(t, undone-1, m.table.through())
			for term, want := range m.lists {
				if random.IntN(8) == 0 || len(want) > 100 {
					l := m.table.list(term[0], term[1:])
					require.NotNil(t, l, term)
					requireLoads(t, random, l, want)
				}
			}
		}
		require.Nil(t, m.table.list(kindStream, "t1"), "it is a type")
		requireWalk(t, m)
		begin := m.added[0].Position
		m.undo(len(m.added))
		require.Equal(t, begin-1, m.table.through())
		require.Nil(t, m.table.list(kindType, "t0"), "all is taken back")
		requireWalk(t, m)
	}
}

// requireWalk compares the table's walk with the slices, in the order of terms.
func requireWalk(t *testing.T, m *tableModel) {
	var got, want []string
	require.NoError(t, m.table.walk(func(term []byte, p posting) error {
		got = append(got, fmt.Sprintf("%q %v", term, p))
		return nil
	}))
	var terms []string
	for term := range m.lists {
		terms = append(terms, term+"\x00")
	}
	slices.Sort(terms)
	for _, term := range terms {
		for _, p := range m.lists[term[:len(term)-1]] {
			want = append(want, fmt.Sprintf("%q %v", term, p))
		}
	}
	if !slices.Equal(want, got) {
		require.Equal(t, want, got)
	}
}

// TestTable_ListsAreAsOfTheirLookup expects that a list that was looked up before an
// undo still has the postings that are left.
func TestTable_ListsAreAsOfTheirLookup(t *testing.T) {
	m := &tableModel{table: newTable(1, tableSize{}), lists: map[string][]posting{}}
	entries := make([]Entry, 900)
	for i := range entries {
		entries[i] = Entry{Position: eventstore.Position(i + 1), Type: "t"}
	}
	m.add(entries)
	l := m.table.list(kindType, "t")
	m.undo(850)
	random := rand.New(rand.NewPCG(5, 6))
	requireLoads(t, random, l, m.lists["tt"])
	m.add(entries[50:60])
	require.Equal(t, posting{position: 50}, l.load(50, false, make([]posting, 1))[0])
	requireLoads(t, random, m.table.list(kindType, "t"), m.lists["tt"])
}

// TestTable_IsReadWhileItGrows reads the end of a list to which postings are added.
func TestTable_IsReadWhileItGrows(t *testing.T) {
	const n = 20000
	table := newTable(1, tableSize{})
	var head atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := uint64(1); p <= n; p++ {
			e := Entry{Position: eventstore.Position(p), Stream: "s-1", Version: eventstore.Version(p), Type: "t"}
			table.add(1, func(int) Entry { return e })
			head.Store(p)
		}
	}()
	for p := uint64(0); p < n; {
		if p = head.Load(); p == 0 {
			continue
		}
		want := posting{eventstore.Position(p), eventstore.Version(p)}
		l := table.list(kindStream, "s-1")
		require.Equal(t, want, l.load(want.position, true, make([]posting, 0, 3))[0])
		require.Equal(t, want, l.load(want.position, false, make([]posting, 0, 3))[0])
		require.Equal(t, want, table.before(kindStream, "s-1", want.position))
	}
	<-done
}

func TestTable_KeepsLongNames(t *testing.T) {
	m := &tableModel{table: newTable(1, tableSize{}), lists: map[string][]posting{}}
	for i := range 200 {
		name := strings.Repeat(string(rune('a'+i%20)), i*50)
		m.add([]Entry{{Position: eventstore.Position(i + 1), Type: "t", Tags: []eventstore.Tag{eventstore.Tag(name)}}})
	}
	requireWalk(t, m)
	require.Greater(t, m.table.bytes(), 200*199*25)
}

// TestTable_IsDense expects that a list with one event in 16 is dense.
func TestTable_IsDense(t *testing.T) {
	table := newTable(1, tableSize{})
	for i := range 2000 {
		e := Entry{Position: eventstore.Position(i + 1), Type: "all"}
		if i%15 == 0 {
			e.Tags = []eventstore.Tag{"dense"}
		}
		if i%40 == 0 {
			e.Tags = append(e.Tags, "sparse")
		}
		table.add(1, func(int) Entry { return e })
	}
	require.True(t, table.list(kindType, "all").dense())
	require.True(t, table.list(kindTag, "dense").dense())
	require.False(t, table.list(kindTag, "sparse").dense())
}

// TestFilter_NeverSaysNoToWhatIsThere also counts false positives.
func TestFilter_NeverSaysNoToWhatIsThere(t *testing.T) {
	for _, n := range []int{1, 50, 51, 52, 1000, 40000} {
		f := newFilter(uint64(n))
		term := func(i int) []byte { return appendTerm(nil, kindKey, fmt.Sprint("a key ", i)) }
		for i := range n {
			f.add(fingerprint(term(i)))
		}
		wrong := 0
		for i := range n {
			require.True(t, f.has(fingerprint(term(i))))
			if f.has(fingerprint(term(n + i))) {
				wrong++
			}
		}
		require.LessOrEqual(t, wrong, 3+n/25, "of %d", n)
	}
}

// TestFingerprint_DoesNotChange holds the fingerprint fixed, since it is part of the
// format.
func TestFingerprint_DoesNotChange(t *testing.T) {
	require.Equal(t, uint64(0xff1eeb1362a6c744), fingerprint([]byte("sa-1\x00")))
	require.Equal(t, uint64(0x44a8c08bbcb73ebc), fingerprint([]byte("ga tag that is long\x00")))
	b := bytes.Repeat([]byte{'x'}, 16)
	require.NotEqual(t, fingerprint(b), fingerprint(b[:15]))
}
