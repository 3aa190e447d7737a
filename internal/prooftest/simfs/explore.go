package simfs

import (
	"math/rand/v2"
)

// ExploreOptions say how a trace is explored.
type ExploreOptions struct {
	Seed   uint64
	Budget int // images, about; fewer if there are not so many
	// From is the first operation after which the power may fail.
	From int
	// Repeats says of a mark that the same image after it is worth another
	// look, because more is expected of it. Nil is all marks.
	Repeats func(mark string) bool
}

// repeats says whether the operation is a mark of Repeats.
func (o *ExploreOptions) repeats(op Op) bool {
	return op.Kind == Mark && (o.Repeats == nil || o.Repeats(op.Text))
}

// Explored is what there was to explore.
type Explored struct {
	Images   int // visited
	Distinct int // of them, by their bytes
	Moments  int
}

// Add adds up two explorations, of different traces.
func (e *Explored) Add(other Explored) {
	e.Images += other.Images
	e.Distinct += other.Distinct
	e.Moments += other.Moments
}

// Explore visits images of a trace, from the first moment to the last, until
// visit returns an error, which it returns.
//
// After each operation there are the image without all that was pending and the
// one with all of it, and, as far as the budget goes, those with all but one,
// with only one, with the first ones, with one torn or scribbled, and with
// everything left to chance. Most of the budget is for the moments before a
// sync, at which the most is pending. With a budget that is smaller than the
// number of moments, some moments are left out. No image is visited twice but
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
			due = o.Budget * spent / total // what a moment leaves, the next ones get
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

// shares returns what share of the budget each moment gets; moment i is before
// the i-th operation.
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

// moment visits images of a power loss now, about n of them.
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

// systematic returns the plans that are tried at every moment.
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
