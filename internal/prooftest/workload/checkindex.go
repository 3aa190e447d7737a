package workload

import (
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/projection"
)

// sampled is the number of commits, beside the last ones, whose keys and tags are
// looked up.
const sampled = 6

// checkLookups looks up keys: of the last commits, of some others, and of commits
// that are not there.
func (c *checker) checkLookups() error {
	for _, f := range c.sample() {
		if err := c.checkLookup(f); err != nil {
			return err
		}
	}
	for _, id := range c.missing() {
		if _, there, err := c.store.Lookup(c.ctx, id.Key()); err != nil || there {
			return wrongf(Derived, "the key of commit %v, which is not in the log, is found: %t, %v", id, there, err)
		}
	}
	return nil
}

func (c *checker) checkLookup(f found) error {
	receipt, there, err := c.store.Lookup(c.ctx, f.id.Key())
	if err != nil || !there || receipt.First != f.first || receipt.Last != f.last {
		return wrongf(Derived, "the key of commit %v at %d to %d is found: %t, at %d to %d: %v",
			f.id, f.first, f.last, there, receipt.First, receipt.Last, err)
	}
	return nil
}

// sample returns the last two commits and some others, which depend on the number of
// commits.
func (c *checker) sample() []found {
	n := len(c.commits)
	picked := slices.Clone(c.commits[max(0, n-2):])
	for i := range min(sampled, n-len(picked)) {
		picked = append(picked, c.commits[(n*7+i*n/sampled)%n])
	}
	return picked
}

// missing returns the commits that were begun and are not in the log.
func (c *checker) missing() []ID {
	var ids []ID
	for id := range c.history.InFlight {
		if !slices.ContainsFunc(c.commits, func(f found) bool { return f.id == id }) {
			ids = append(ids, id)
		}
	}
	return ids
}

// checkIndex reads the events of each stream, category, type and tag, and compares
// them with the log.
func (c *checker) checkIndex() error {
	terms := make(map[string]*term)
	for i := range c.events {
		e := &c.events[i]
		if e.Stream != "" {
			note(terms, "stream "+string(e.Stream), e, func() eventstore.Item { return eventstore.Item{Streams: []eventstore.StreamID{e.Stream}} })
			note(terms, "category "+e.Stream.Category(), e, func() eventstore.Item { return eventstore.Item{Categories: []string{e.Stream.Category()}} })
		}
		note(terms, "type "+e.Type, e, func() eventstore.Item { return eventstore.Item{Types: []string{e.Type}} })
		note(terms, "tag "+string(e.Tags[0]), e, func() eventstore.Item { return eventstore.Item{Tags: e.Tags[:1]} })
	}
	for _, f := range c.sample() {
		terms["tag "+string(f.id.Tag())] = &term{item: eventstore.Item{Tags: []eventstore.Tag{f.id.Tag()}}, positions: []eventstore.Position{f.first}}
	}
	for _, id := range c.missing() {
		terms["tag "+string(id.Tag())] = &term{item: eventstore.Item{Tags: []eventstore.Tag{id.Tag()}}}
	}
	for name, t := range terms {
		if err := c.checkTerm(name, t); err != nil {
			return err
		}
	}
	return nil
}

// term is a term of the index, and its positions in the log.
type term struct {
	item      eventstore.Item
	positions []eventstore.Position
}

func note(terms map[string]*term, name string, e *eventstore.Event, item func() eventstore.Item) {
	t := terms[name]
	if t == nil {
		t = &term{item: item()}
		terms[name] = t
	}
	t.positions = append(t.positions, e.Position)
}

func (c *checker) checkTerm(name string, t *term) error {
	var positions []eventstore.Position
	for e, err := range c.store.Read(c.ctx, eventstore.Match(t.item), eventstore.ReadOptions{}) {
		if err != nil {
			return wrongf(Derived, "read %s: %v", name, err)
		}
		positions = append(positions, e.Position)
	}
	if !slices.Equal(positions, t.positions) {
		return wrongf(Derived, "the index has %s at %v, the log at %v", name, positions, t.positions)
	}
	return nil
}

// liveVersion returns the live version of the projection, 0 for none.
func (c *checker) liveVersion() uint32 {
	views, err := projection.NewHost(c.store, c.registry, nil)
	if err != nil {
		return 0
	}
	for _, version := range []uint32{2, 1} {
		status, err := views.Status(c.ctx, newStock(version).Projection)
		if err == nil && status.State == projection.Live {
			return version
		}
	}
	return 0
}
