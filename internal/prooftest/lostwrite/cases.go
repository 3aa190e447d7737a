package lostwrite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/damage"
	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// maker makes cases from a recording.
type maker struct {
	*recording
	name     string
	random   *rand.Rand
	size     int    // of a page
	final    []byte // the content that is damaged
	versions int    // distinct contents of pages that the file had
	all      []damage.Case
}

func newMaker(r *recording, name string, random *rand.Rand) *maker {
	return &maker{recording: r, name: name, random: random, size: os.Getpagesize(), final: r.last().content}
}

// cases makes all cases, and takes about budget of them: as many of each kind, if it has
// as many.
func (m *maker) cases(budget int) []damage.Case {
	m.samePlace()
	m.sameNode()
	m.transactions()
	m.otherLog()
	m.wrongKinds()
	kinds := make(map[string][]damage.Case)
	var order []string
	for _, c := range m.all {
		if kinds[c.Kind] == nil {
			order = append(order, c.Kind)
		}
		kinds[c.Kind] = append(kinds[c.Kind], c)
	}
	var chosen []damage.Case
	slices.SortStableFunc(order, func(a, b string) int { return len(kinds[a]) - len(kinds[b]) })
	for i, kind := range order {
		share := (budget - len(chosen)) / (len(order) - i)
		all := kinds[kind]
		m.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		chosen = append(chosen, all[:min(share, len(all))]...)
	}
	for i := range chosen {
		chosen[i].ReadOnly = i%2 == 1
	}
	return chosen
}

// add adds a case, unless it changes nothing.
func (m *maker) add(kind, what string, states []sample.State, edits ...damage.Edit) {
	edits = slices.DeleteFunc(edits, func(e damage.Edit) bool {
		return e.Offset+len(e.Bytes) > len(m.final) || bytes.Equal(m.final[e.Offset:][:len(e.Bytes)], e.Bytes)
	})
	if len(edits) > 0 {
		m.all = append(m.all, damage.Case{Kind: kind, What: what, Sample: m.name, Edits: edits, States: states})
	}
}

// live returns the pages of the final file that are in use.
func (m *maker) live() []layout.Page {
	return slices.DeleteFunc(slices.Clone(m.last().pages), func(p layout.Page) bool { return p.Role == "free" })
}

// at returns the bytes of a place at a moment; fewer if the file was shorter.
func (mo *moment) at(offset, size int) []byte {
	if offset >= len(mo.content) {
		return nil
	}
	return mo.content[offset:min(offset+size, len(mo.content))]
}

// samePlace puts back what a page, or the first page of several, held before: each
// distinct content.
func (m *maker) samePlace() {
	for _, p := range m.live() {
		seen := map[string]bool{string(m.final[p.Offset:][:p.Size]): true}
		for i := range slices.Backward(m.moments) {
			mo := &m.moments[i]
			for _, size := range []int{p.Size, m.size} {
				old := mo.at(p.Offset, size)
				if len(old) == 0 || seen[string(old)] {
					continue
				}
				seen[string(old)] = true
				m.versions++
				m.add("earlier content of the same place", m.describe(mo, p), m.olderMeta(p, old), damage.Edit{Offset: p.Offset, Bytes: old})
			}
		}
	}
}

func (m *maker) describe(mo *moment, p layout.Page) string {
	was := "nothing"
	for _, q := range mo.pages {
		if q.Offset <= p.Offset && p.Offset < q.Offset+q.Size {
			was = q.Role
		}
	}
	return fmt.Sprintf("of transaction %d of %d, then %s", mo.transaction, m.last().transaction, was)
}

// olderMeta returns the states that the file may have if a meta page is an older one: that
// of the other meta page.
func (m *maker) olderMeta(p layout.Page, old []byte) []sample.State {
	if p.Role != "meta" {
		return nil
	}
	changed := slices.Clone(m.final)
	copy(changed[p.Offset:], old)
	_, transaction := layout.Newest(changed)
	return m.around(min(transaction, m.last().transaction))
}

// around returns the states that the log may have had after a transaction: those of the
// moments at it, or before and after it.
func (m *maker) around(transaction uint64) []sample.State {
	i := slices.IndexFunc(m.moments, func(mo moment) bool { return mo.transaction >= transaction })
	states := []sample.State{m.moments[i].state}
	if m.moments[i].transaction > transaction && i > 0 {
		states = append(states, m.moments[i-1].state)
	}
	return states
}

// numbered returns the content of a page with another page number in its header.
func (m *maker) numbered(content []byte, offset int) []byte {
	b := slices.Clone(content)
	binary.LittleEndian.PutUint64(b, uint64(offset/m.size))
	return b
}

// sameNode puts an older version of the same node, which had another place, into the
// node's place.
func (m *maker) sameNode() {
	for _, p := range m.live() {
		if p.Role == "meta" {
			continue
		}
		seen := map[string]bool{string(m.numbered(m.final[p.Offset:][:p.Size], p.Offset)): true}
		for i := range slices.Backward(m.moments) {
			mo := &m.moments[i]
			for _, q := range mo.pages {
				if q.Role != p.Role || q.First != p.First || q.Size > p.Size {
					continue
				}
				old := m.numbered(mo.content[q.Offset:][:q.Size], p.Offset)
				if seen[string(old)] {
					continue
				}
				seen[string(old)] = true
				m.add("the same node in an older version", m.describe(mo, q), nil, damage.Edit{Offset: p.Offset, Bytes: old})
				if i%4 == 0 {
					m.add("the same node in an older version, with its old number", m.describe(mo, q), nil,
						damage.Edit{Offset: p.Offset, Bytes: mo.content[q.Offset:][:q.Size]})
				}
			}
		}
	}
}

// transactions takes transactions back: the last ones as a whole, which makes an older
// file; their pages without the meta pages; the meta pages alone; their root; and one
// transaction before the last, whose pages are then those before it.
func (m *maker) transactions() {
	for i := range len(m.moments) - 1 {
		mo := &m.moments[i]
		what := fmt.Sprintf("back to transaction %d of %d", mo.transaction, m.last().transaction)
		var data, metas, root []damage.Edit
		for offset := 0; offset < len(mo.content); offset += m.size {
			e := damage.Edit{Offset: offset, Bytes: mo.at(offset, m.size)}
			if bytes.Equal(e.Bytes, m.final[offset:][:len(e.Bytes)]) {
				continue
			}
			if offset < 2*m.size {
				metas = append(metas, e)
			} else {
				data = append(data, e)
			}
		}
		m.add("transactions taken back", what, []sample.State{mo.state}, append(slices.Clone(metas), data...)...)
		m.add("transactions taken back without their meta pages", what, nil, data...)
		m.add("meta pages taken back without their transactions", what, []sample.State{mo.state}, metas...)
		for _, role := range []string{"root leaf", "freelist"} {
			if e, ok := m.replaced(mo, role); ok {
				root = append(root, e)
			}
		}
		m.add("root and free list taken back", what, nil, root...)
		m.lostTransaction(i + 1)
	}
}

// replaced returns the edit that puts the only page with a role back to a moment.
func (m *maker) replaced(mo *moment, role string) (damage.Edit, bool) {
	find := func(pages []layout.Page) (layout.Page, bool) {
		i := slices.IndexFunc(pages, func(p layout.Page) bool { return p.Role == role })
		if i < 0 {
			return layout.Page{}, false
		}
		return pages[i], true
	}
	was, old := find(mo.pages)
	is, ok := find(m.last().pages)
	if !old || !ok || was.Size > is.Size {
		return damage.Edit{}, false
	}
	return damage.Edit{Offset: is.Offset, Bytes: m.numbered(mo.content[was.Offset:][:was.Size], is.Offset)}, true
}

// lostTransaction takes back what one transaction wrote and later ones left as it is.
func (m *maker) lostTransaction(i int) {
	before, after := &m.moments[i-1], &m.moments[i]
	var edits []damage.Edit
	for offset := 2 * m.size; offset < len(before.content); offset += m.size {
		was, is := before.at(offset, m.size), after.at(offset, m.size)
		if !bytes.Equal(was, is) && bytes.Equal(is, m.final[offset:][:len(is)]) {
			edits = append(edits, damage.Edit{Offset: offset, Bytes: was})
		}
	}
	m.add("one transaction lost", fmt.Sprintf("transaction %d of %d", after.transaction, m.last().transaction), nil, edits...)
}

// otherLog puts pages of another log into the same places, and nodes of it into the places
// of the same nodes.
func (m *maker) otherLog() {
	for _, p := range m.live() {
		for _, q := range m.others {
			if p.Role != "meta" && q.Role == p.Role && q.First == p.First && q.Size <= p.Size {
				m.add("the same node of another log", q.Role, nil,
					damage.Edit{Offset: p.Offset, Bytes: m.numbered(m.other[q.Offset:][:q.Size], p.Offset)})
			}
		}
		if p.Offset+p.Size <= len(m.other) {
			m.add("another log's page", "", m.olderMeta(p, m.other[p.Offset:][:p.Size]), damage.Edit{Offset: p.Offset, Bytes: m.other[p.Offset:][:p.Size]})
		}
	}
}

// wrongKinds puts former branches, free lists and leaves of other buckets into the
// places of pages of another kind.
func (m *maker) wrongKinds() {
	formers := make(map[string][]damage.Edit) // by role
	seen := make(map[string]bool)
	for i := range m.moments {
		mo := &m.moments[i]
		for _, q := range mo.pages {
			content := mo.content[q.Offset:][:q.Size]
			if q.Role == "free" || seen[string(content)] {
				continue
			}
			seen[string(content)] = true
			formers[q.Role] = append(formers[q.Role], damage.Edit{Offset: q.Offset, Bytes: content})
		}
	}
	for _, p := range m.live() {
		for role, all := range formers {
			if role == p.Role || p.Role == "meta" {
				continue
			}
			f := all[m.random.IntN(len(all))]
			content := m.numbered(f.Bytes, p.Offset)
			content = content[:min(len(content), len(m.final)-p.Offset)]
			kind := "a former " + role[strings.LastIndex(role, " ")+1:]
			m.add(kind+" in the place of another page", "a former "+role, nil, damage.Edit{Offset: p.Offset, Bytes: content})
		}
	}
}
