package simfs

import (
	"math/rand/v2"
)

// ExploreOptions are the options of Explore.
type ExploreOptions struct {
	Seed   uint64
	Budget int // number of images, about
	// From is the first operation after which the power may fail.
	From int
	// Repeats reports whether an image that was visited before is visited again
	// after a mark, because more is expected then. Nil means all marks.
	Repeats func(mark string) bool
}

// repeats reports whether the operation is a mark of Repeats.
func (o *ExploreOptions) repeats(op Op) bool {
	return op.Kind == Mark && (o.Repeats == nil || o.Repeats(op.Text))
}

// Explored is the size of an exploration.
type Explored struct {
	Images   int // visited
	Distinct int // different by their bytes
	Moments  int
}

// Add adds the sizes of two explorations of different traces.
func (e *Explored) Add(other Explored) {
	e.Images += other.Images
	e.Distinct += other.Distinct
	e.Moments += other.Moments
}

// Explore visits images of a trace, from the first moment to the last, until visit
// returns an error, which it returns.
//
// After each operation there are the image without any pending operation and the one
// with all of them. As far as the budget goes, there are also images with all
// pending operations but one, with only one, with the first ones, with one that is
// torn or scribbled, and with random fates. Most of the budget is for the moments
// before a sync, when most operations are pending. If the budget is smaller than the
// number of moments, some moments are left out. No image is visited twice, except
// after a mark of Repeats.
func Explore(t Trace, o ExploreOptions, visit func(Image) error) (Explored, error) {
	e := explorer{
		trace: t, options: o, visit: visit, state: newState(t.Base),
		random: rand.New(rand.NewPCG(o.Seed, uint64(len(t.Ops)))), seen: make(map[uint64]int),
	}
	shares := shares(t, o)
	total := 0
	for _, share := range shares {
		total += share
	}
	due, spent := 0, 0
	for i := 0; i <= len(t.Ops); i++ {
		if shares[i] > 0 {
			spent += shares[i]
			due = o.Budget * spent / total // a moment leaves what it does not use to the next ones
			if n := due - e.found.Images; n <= 0 && o.Budget < len(t.Ops)-o.From {
				// left out
			} else if err := e.moment(i, n); err != nil {
				return e.found, err
			}
		}
		if i < len(t.Ops) {
			e.play(t.Ops[i])
		}
	}
	return e.found, nil
}

// shares returns each moment's share of the budget. Moment i is before the i-th
// operation.
func shares(t Trace, o ExploreOptions) []int {
	shares := make([]int, len(t.Ops)+1)
	s := newState(t.Base)
	for i := range shares {
		pending := len(s.pending)
		switch {
		case i < o.From:
		case i < len(t.Ops) && (t.Ops[i].Kind == Sync || t.Ops[i].Kind == SyncDir) && pending > 0:
			shares[i] = 12 + 4*min(pending, 12)
		case i > 0 && pending > 0 && o.repeats(t.Ops[i-1]):
			shares[i] = 12 // more is expected, while not all is durable
		default:
			shares[i] = 2
		}
		if i < len(t.Ops) {
			s.do(t.Ops[i])
		}
	}
	return shares
}

type explorer struct {
	trace   Trace
	options ExploreOptions
	visit   func(Image) error
	state   *state
	random  *rand.Rand

	at    int
	marks int
	fresh bool           // the last operation was a mark of Repeats
	epoch int            // grows with the marks of Repeats
	seen  map[uint64]int // image -> epoch
	found Explored
}

func (e *explorer) play(op Op) {
	e.state.do(op)
	e.fresh = e.options.repeats(op)
	if op.Kind == Mark {
		e.marks++
	}
	if e.fresh {
		e.epoch++
	}
}

// moment visits about n images of a power loss at this moment.
func (e *explorer) moment(at, n int) error {
	e.at = at
	e.found.Moments++
	pending := len(e.state.pending)
	none, all := make([]fate, pending), make([]fate, pending)
	for i := range all {
		all[i] = fate{kind: kept}
	}
	start := e.found.Images
	if n == 1 && pending > 0 && !e.fresh {
		return e.look(e.chance())
	}
	if err := e.look(none); err != nil || pending == 0 {
		return err
	}
	if err := e.look(all); err != nil {
		return err
	}
	plans := e.systematic(none, all)
	for _, i := range e.random.Perm(len(plans)) {
		if e.found.Images-start >= n {
			return nil
		}
		if err := e.look(plans[i]()); err != nil {
			return err
		}
	}
	for tries := 2 * n; tries > 0 && e.found.Images-start < n; tries-- {
		if err := e.look(e.chance()); err != nil {
			return err
		}
	}
	return nil
}

// systematic returns the fates that are tried at every moment.
func (e *explorer) systematic(none, all []fate) []func() []fate {
	with := func(base []fate, i int, f fate) []fate {
		fates := append([]fate{}, base...)
		fates[i] = f
		return fates
	}
	var plans []func() []fate
	for i, op := range e.state.pending {
		plans = append(plans,
			func() []fate { return with(all, i, fate{kind: dropped}) },
			func() []fate { return with(none, i, fate{kind: kept}) },
			func() []fate { return append(append([]fate{}, all[:i]...), none[i:]...) },
		)
		if op.Kind != Write {
			continue
		}
		for range units {
			plans = append(plans,
				func() []fate { return with(all, i, e.damage(op)) },
				func() []fate { return with(none, i, e.damage(op)) },
			)
		}
	}
	return plans
}

// chance returns random fates.
func (e *explorer) chance() []fate {
	fates := make([]fate, len(e.state.pending))
	keep, harm := 1+e.random.IntN(4), e.random.IntN(3) // in five
	for i, op := range e.state.pending {
		switch n := e.random.IntN(5); {
		case n < harm:
			fates[i] = e.damage(op)
		case n < harm+keep:
			fates[i] = fate{kind: kept}
		}
	}
	return fates
}

// look visits the image with these fates, unless it was visited before.
func (e *explorer) look(fates []fate) error {
	disk, how := e.state.image(fates)
	hash := disk.hash()
	epoch, known := e.seen[hash]
	if known && epoch == e.epoch {
		return nil
	}
	if err := e.visit(Image{Disk: disk, Moment: e.at, Marks: e.marks, How: how}); err != nil {
		return err
	}
	e.seen[hash] = e.epoch
	e.found.Images++
	if !known {
		e.found.Distinct++
	}
	return nil
}
