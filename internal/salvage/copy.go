package salvage

import (
	"errors"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

const (
	maxListed   = 10_000 // bounds Missing and Ambiguous of a Result
	maxRetries  = 1_000  // bounds the records that are found not to fit when all are added
	noticeEvery = 4_096  // events between two calls of Progress
)

// salvager makes a new log from the remains of a damaged one.
type salvager struct {
	found  *remains
	opts   Options
	avoid  map[eventstore.Position]bool // positions of records that were found not to fit
	result Result

	head   logfile.Head // that the description says
	headBy uint64       // the transaction that wrote it
	headOK bool         // it is whole

	linked    ranges              // the positions that the tree leads to
	last      eventstore.Position // the last linked position
	committed eventstore.Position // the log had the positions up to this one; 0: not known
	end       bool                // and, with the newest meta page, no others

	b        *logbuild.Builder
	next     eventstore.Position // the position after the last one added
	previous record.Record       // the last record added

	window []candidate         // for the next positions that are not linked
	before eventstore.Position // the window has all candidates before this position; 0: all there are
}

// identify chooses the store id and the epoch of the new log, and finds the seed of the
// records: that of the damaged file's store id or, if it cannot be read, the one that most
// records were sealed with.
func (v *salvager) identify() error {
	identity, head, ok, err := v.found.identity()
	if err != nil {
		return err
	}
	if v.found.seed = identity.Seed(); !ok {
		identity.StoreID = uuid.New()
		if v.found.seed, err = v.found.likelySeed(); err != nil {
			return err
		}
	}
	v.head, v.headBy, v.headOK = logfile.ParseHead(head, v.found.seed)
	v.result.StoreID, v.result.Epoch, v.result.SameStore = identity.StoreID, logfile.NewEpoch(identity.Epoch), ok
	return nil
}

// survey notes the positions that the tree leads to.
func (v *salvager) survey() (err error) {
	v.end, err = v.found.walk(func(r *record.Record, _ []byte) error {
		v.linked.add(r.Event.Position)
		v.last = r.Event.Position
		return nil
	})
	switch {
	case v.headOK && v.headBy != v.found.meta.TxID: // the tree is that of an earlier moment
		v.end = false
	case v.headOK:
		v.committed = v.head.Position
	case v.end:
		v.committed = v.last
	}
	if v.found.certain {
		v.end = v.end || v.committed > 0
		v.result.Through = v.committed
	}
	return err
}

// copy adds all records that can be saved to the builder, in order.
func (v *salvager) copy() error {
	v.next, v.previous, v.window, v.before = 1, record.Record{}, nil, 1
	_, err := v.found.walk(func(r *record.Record, raw []byte) error {
		if err := v.fill(r); err != nil {
			return err
		}
		return v.add(r, raw, false)
	})
	if err == nil {
		err = v.copyTail()
	}
	v.result.Head = v.next - 1
	through := v.committed
	if last := v.previous.Place; last.N > 0 { // the rest of its commit existed
		through = max(through, v.result.Head+eventstore.Position(last.N-1-last.I))
	}
	v.missing(through + 1)
	return err
}

// add adds a record at position next or later. A record that the builder refuses
// contradicts those before it and is left out.
func (v *salvager) add(r *record.Record, raw []byte, unlinked bool) error {
	p := r.Event.Position
	if v.avoid[p] {
		return nil
	}
	err := v.b.Add(p, raw)
	if errors.Is(err, eventstore.ErrCorrupt) {
		v.result.Refused++
		return nil
	}
	if err != nil {
		return err
	}
	v.missing(p)
	v.next, v.previous = p+1, *r
	v.result.Events++
	if unlinked {
		v.result.Unlinked++
	}
	if v.opts.Progress != nil && v.result.Events%noticeEvery == 0 {
		v.opts.Progress(p, v.result.Through)
	}
	return nil
}

// missing notes that nothing was found from next up to p, p not included.
func (v *salvager) missing(p eventstore.Position) {
	if p <= v.next {
		return
	}
	v.result.MissingEvents += uint64(p - v.next)
	if len(v.result.Missing) < maxListed {
		v.result.Missing = append(v.result.Missing, Range{v.next, p - 1})
	}
}

// fill adds the records that a scan finds between next and a record of the tree.
func (v *salvager) fill(to *record.Record) error {
	for p := v.next; p < to.Event.Position; {
		same, err := v.candidates(p)
		if err != nil {
			return err
		}
		if len(same) == 0 || same[0].position >= to.Event.Position {
			return nil
		}
		if err := v.addOne(same, to); err != nil {
			return err
		}
		p = same[0].position + 1
	}
	return nil
}

// copyTail adds records beyond the last linked position: those that were committed, and of
// others
//   - none, if it is known where the log ended and the meta page is the newest: they were
//     never committed;
//   - those without a gap, if the meta page may be an older one: they are of the next
//     transaction;
//   - all, if it is not known where the log ended.
func (v *salvager) copyTail() error {
	if scanned := v.before != 1; v.end && v.found.certain && v.last >= v.committed && !scanned {
		return nil
	}
	for p := v.last + 1; ; {
		same, err := v.candidates(p)
		if err != nil || len(same) == 0 {
			return err
		}
		gap := same[0].position != v.next
		if same[0].position > v.committed && v.end && (v.found.certain || gap) {
			v.result.Leftover++
		} else if err := v.addOne(same, nil); err != nil {
			return err
		}
		p = same[0].position + 1
	}
}

// candidates returns the candidates for the first position from p on that is not linked
// and has any. It scans the file only if the window does not have the answer.
func (v *salvager) candidates(p eventstore.Position) (same []candidate, err error) {
	if v.before != 0 && p >= v.before {
		wanted := func(q eventstore.Position) bool { return q >= p && !v.linked.has(q) }
		if v.window, v.before, err = v.found.scan(wanted); err != nil {
			return nil, err
		}
	}
	i := sort.Search(len(v.window), func(i int) bool { return v.window[i].position >= p })
	if i == len(v.window) {
		if v.before == 0 {
			return nil, nil
		}
		return v.candidates(v.before)
	}
	n := i
	for n < len(v.window) && v.window[n].position == v.window[i].position {
		n++
	}
	return v.window[i:n], nil
}

// addOne adds the candidate for a position that fits the records around it, if there is
// one. to is the next record of the tree, nil if there is none.
func (v *salvager) addOne(same []candidate, to *record.Record) error {
	var fitting []found
	for _, c := range same {
		r, raw, err := v.found.read(c)
		if err != nil {
			return err
		}
		if follows(&v.previous, &r) && (to == nil || follows(&r, to)) {
			fitting = append(fitting, found{r, raw})
		}
	}
	v.result.Refused += len(same) - len(fitting)
	if len(fitting) == 0 {
		return nil
	}
	if len(fitting) > 1 {
		likely, err := v.likely(fitting)
		if err != nil {
			return err
		}
		v.result.Refused += len(fitting) - len(likely)
		fitting = likely
	}
	if len(fitting) > 1 && len(v.result.Ambiguous) < maxListed {
		v.result.Ambiguous = append(v.result.Ambiguous, same[0].position)
	}
	return v.add(&fitting[0].Record, fitting[0].raw, true)
}

// found is a decoded record and its bytes.
type found struct {
	record.Record
	raw []byte
}

// likely returns the records of a list, all for one position, that a record of the next
// position can follow; the whole list, if no record for
// that position follows any of them.
func (v *salvager) likely(list []found) ([]found, error) {
	next := list[0].Event.Position + 1
	after, err := v.candidates(next)
	if err != nil || len(after) == 0 || after[0].position != next {
		return list, err
	}
	var likely []found
	for i := range list {
		for _, c := range after {
			r, _, err := v.found.read(c)
			if err != nil {
				return nil, err
			}
			if follows(&list[i].Record, &r) {
				likely = append(likely, list[i])
				break
			}
		}
	}
	if len(likely) == 0 {
		return list, nil
	}
	return likely, nil
}

// follows reports whether b can follow a in a log, with or without records between.
func follows(a, b *record.Record) bool {
	if b.Event.Recorded.Before(a.Event.Recorded) {
		return false
	}
	if b.Event.Position != a.Event.Position+1 {
		return true // the records between are not known
	}
	if a.Place.I+1 < a.Place.N {
		return b.Place == record.Place{I: a.Place.I + 1, N: a.Place.N} && b.Event.Recorded.Equal(a.Event.Recorded)
	}
	return b.Place.I == 0
}

// ranges is a set of positions. They must be added in ascending order.
type ranges []Range

func (s *ranges) add(p eventstore.Position) {
	if n := len(*s); n > 0 && (*s)[n-1].Last+1 == p {
		(*s)[n-1].Last = p
		return
	}
	*s = append(*s, Range{p, p})
}

func (s ranges) has(p eventstore.Position) bool {
	_, found := slices.BinarySearchFunc(s, p, func(r Range, p eventstore.Position) int {
		switch {
		case p < r.First:
			return 1
		case p > r.Last:
			return -1
		}
		return 0
	})
	return found
}
