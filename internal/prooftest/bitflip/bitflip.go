// Package bitflip proves that damaged bytes are noticed. It changes bits, bytes and
// sectors of a log, and compares each answer of the store with the known content.
package bitflip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/yore-es/yore/internal/prooftest/damage"
	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const name = "bit-flips"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  name,
		About: "flip bits, overwrite bytes, zero sectors and misplace pages of a log: each call gives the right answer or an error of damage",
		Run:   run,
		Replay: func(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) error {
			return damage.Replay(ctx, env, name, kept, dir)
		},
		Children: map[string]proof.Child{damage.Child(name): damage.Serve},
	}
}

// The samples: with most of the index in the file, and with none of it.
const (
	indexed   = "indexed"
	unindexed = "unindexed"
)

// subject is a sample that is damaged.
type subject struct {
	name    string
	known   *sample.Sample
	content []byte
	pages   []layout.Page
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	dir := filepath.Join(env.Scratch, "samples")
	var subjects []*subject
	pages := make(map[string][]layout.Page)
	for _, name := range []string{indexed, unindexed} {
		s, err := newSubject(ctx, env, dir, name)
		if err != nil {
			return nil, err
		}
		subjects, pages[name] = append(subjects, s), s.pages
	}
	t := damage.NewTally(env, dir, pages)
	cases, err := makeCases(env, subjects)
	if err != nil {
		return nil, err
	}
	err = trial.Each(ctx, env, damage.Plan(env, name, dir), cases, t.Count)
	figures := proof.Figures{{Name: "events", Value: len(subjects[0].known.Events)}, {Name: "file_bytes", Value: subjects[0].known.Used}}
	return append(figures, t.Figures()...), errors.Join(err, t.Err())
}

func newSubject(ctx context.Context, env *proof.Env, dir, name string) (*subject, error) {
	to := filepath.Join(dir, name)
	known, err := sample.New(ctx, env.Scratch, to, sample.Build{Seed: env.Seed, Indexed: name == indexed})
	if err != nil {
		return nil, err
	}
	_, content, err := sample.Load(to)
	if err != nil {
		return nil, err
	}
	pages, err := layout.Pages(content)
	return &subject{name, known, content, pages}, err
}

// flipsVariable is the environment variable for the number of flipped bits, which
// overrides the table.
const flipsVariable = "YORE_PROOF_FLIPS"

// makeCases makes the cases: each field of some events, flipped bits anywhere, more of
// them in the headers of pages and packs, and damage of other kinds.
func makeCases(env *proof.Env, subjects []*subject) ([]damage.Case, error) {
	random := env.Rand(1)
	flips := env.Scale(1_600, 75_000)
	sectors := env.Scale(7, 1)
	if n, err := strconv.Atoi(os.Getenv(flipsVariable)); err == nil {
		flips = n
	}
	m := &maker{random: random}
	for i, s := range subjects {
		m.subject = s
		if err := m.fields(env.Scale(1, 8)); err != nil {
			return nil, err
		}
		if i == 0 {
			m.flips(flips * 3 / 4)
			m.sectors(sectors)
			m.wholePages()
		} else {
			m.flips(flips / 4)
			m.sectors(sectors * 5)
		}
	}
	return m.cases, m.packs(flips/10, subjects[0])
}

// maker makes cases.
type maker struct {
	*subject
	random *rand.Rand
	cases  []damage.Case
}

func (m *maker) add(kind string, edits ...damage.Edit) { m.addWhat(kind, "", edits...) }

func (m *maker) addWhat(kind, what string, edits ...damage.Edit) {
	c := damage.Case{Kind: kind, What: what, Sample: m.name, Edits: edits, ReadOnly: len(m.cases)%2 == 1}
	if edits[0].Offset < 2*os.Getpagesize() { // a meta page
		before := m.known.Before()
		c.States, c.Told = []sample.State{before.State()}, true
	}
	m.cases = append(m.cases, c)
}

func (m *maker) flips(n int) {
	for range n * 2 / 3 {
		m.add("bit", m.flip(m.random.IntN(len(m.content))))
	}
	for range n / 3 {
		p := m.pages[m.random.IntN(len(m.pages))]
		if m.random.IntN(8) == 0 {
			p = m.pages[m.random.IntN(2)] // the meta pages
		}
		m.add("structure bit", m.flip(p.Offset+m.random.IntN(min(p.Structure(), p.Size))))
	}
	for range n / 10 {
		offset := m.random.IntN(len(m.content))
		m.add("byte", damage.Edit{Offset: offset, Bytes: []byte{m.content[offset] + byte(1+m.random.IntN(255))}})
	}
}

// packs flips bits in the heads of packs.
func (m *maker) packs(n int, s *subject) error {
	m.subject = s
	heads := layout.PackHeads(s.content, s.pages)
	if len(heads) == 0 {
		return errors.New("the log has no packs; nothing is proved of them")
	}
	for range n {
		h := heads[m.random.IntN(len(heads))]
		m.add("pack bit", m.flip(h.Offset+m.random.IntN(h.Size)))
	}
	return nil
}

// sectors zeroes a sector, and passes over the others of each group of each sectors.
func (m *maker) sectors(each int) {
	for sector := 0; sector < len(m.content); sector += 512 * each {
		m.add("zeroed sector", damage.Edit{Offset: sector, Bytes: make([]byte, 512)})
	}
}

func (m *maker) wholePages() {
	for i, p := range m.pages {
		m.add("zeroed page", damage.Edit{Offset: p.Offset, Bytes: make([]byte, p.Size)})
		other := m.pages[(i+1+m.random.IntN(len(m.pages)-1))%len(m.pages)]
		n := min(p.Size, other.Size)
		m.add("misplaced page", damage.Edit{Offset: p.Offset, Bytes: m.content[other.Offset:][:n]})
	}
}

func (m *maker) flip(offset int) damage.Edit { return m.flipBit(offset, m.random.IntN(8)) }

func (m *maker) flipBit(offset, bit int) damage.Edit {
	return damage.Edit{Offset: offset, Bytes: []byte{m.content[offset] ^ 1<<bit}}
}

// fields flips bits in each field of the targets.
func (m *maker) fields(bits int) error {
	for _, target := range m.known.Targets {
		e := &m.known.Events[target.Position-1]
		fields, err := fieldsOf(m.content, m.pages, e, m.known.KeyAt(target.Position))
		if err != nil {
			return fmt.Errorf("target %s of sample %s: %w", target.Name, m.name, err)
		}
		for _, f := range fields {
			for range 2 { // one of them for reading, one for writing
				at := f.offset + m.random.IntN(f.size)
				m.addWhat("bit of the "+f.name, "of the "+target.Name+" event", m.flip(at))
			}
			if bits < 8 {
				continue
			}
			for i := range 8 * f.size {
				m.addWhat("bit of the "+f.name, "of the "+target.Name+" event", m.flipBit(f.offset+i/8, i%8))
			}
		}
	}
	return nil
}
