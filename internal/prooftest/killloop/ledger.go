package killloop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// ledger has the reports of killed processes about a log, and the findings in the log after
// earlier kills.
type ledger struct {
	Acked   [writers][]Acked       // in the order of the commits, including those found after a kill
	Known   []string               // ids of events found before; they must not change
	Kills   int                    // since the last check
	Follows [followers][]following // since the last check
	Ready   bool                   // the inline view was attached, as it then is for all appends
}

// Acked is an acknowledged commit.
type Acked struct {
	N           int
	First, Last eventstore.Position
}

// following has the batches of a follower in one run of the process.
type following struct {
	After, Through eventstore.Position
	Saw            []string // POSITION=ID
}

// hear notes a line of the process.
func (l *ledger) hear(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	var w int
	switch kind {
	case "ready":
		l.Ready = true
		return nil
	case "acked":
		var a Acked
		if _, err := fmt.Sscan(rest, &w, &a.N, &a.First, &a.Last); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		l.Acked[w] = append(l.Acked[w], a)
		return nil
	case "follow", "saw":
		var through eventstore.Position
		if _, err := fmt.Sscan(rest, &w, &through); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		if kind == "follow" {
			l.Follows[w] = append(l.Follows[w], following{After: through})
		}
		f := &l.Follows[w][len(l.Follows[w])-1]
		f.Through = through
		f.Saw = append(f.Saw, strings.Fields(rest)[2:]...)
		return nil
	}
	return fmt.Errorf("the process says %q", line)
}

// check compares the log with the ledger, and notes what was found.
func (l *ledger) check(ctx context.Context, s *boltstore.Store) error {
	events, err := l.read(ctx, s)
	if err != nil {
		return err
	}
	if err := l.checkCommits(events); err != nil {
		return err
	}
	for i := range l.Follows {
		for _, f := range l.Follows[i] {
			if err := f.check(followed[i], events); err != nil {
				return fmt.Errorf("follower %d: %w", i, err)
			}
		}
	}
	if err := l.checkViews(ctx, s, events); err != nil {
		return err
	}
	if err := l.checkIndex(ctx, s, events); err != nil {
		return err
	}
	findings, err := sample.Verify(ctx, s)
	if err != nil || len(findings) > 0 {
		return errors.Join(err, fmt.Errorf("verify: %v", findings))
	}
	l.note(events)
	return nil
}

// read reads all events. Positions and versions must have no gaps, and each event
// must be one that a writer appended.
func (l *ledger) read(ctx context.Context, s *boltstore.Store) ([]eventstore.Event, error) {
	var events []eventstore.Event
	versions := make(map[eventstore.StreamID]eventstore.Version)
	for e, err := range s.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return nil, err
		}
		if want := eventstore.Position(len(events)) + 1; e.Position != want {
			return nil, fmt.Errorf("position %d comes after %d", e.Position, want-1)
		}
		if e.Stream != "" {
			versions[e.Stream]++
		}
		if e.Version != versions[e.Stream] {
			return nil, fmt.Errorf("position %d has version %d of stream %q, expected %d", e.Position, e.Version, e.Stream, versions[e.Stream])
		}
		if i := len(events); i < len(l.Known) && l.Known[i] != e.ID.String() {
			return nil, fmt.Errorf("position %d has event %s, before the kill it had %s", e.Position, e.ID, l.Known[i])
		}
		events = append(events, e)
	}
	if len(events) < len(l.Known) {
		return nil, fmt.Errorf("%d events; there were %d before", len(events), len(l.Known))
	}
	return events, nil
}

// checkCommits checks that every acknowledged commit is at its position, that no
// commit is there in part, and that no commit comes after a missing one.
func (l *ledger) checkCommits(events []eventstore.Event) error {
	var found [writers][]Acked
	for at := 0; at < len(events); {
		first, err := placeOf(&events[at])
		if err != nil {
			return err
		}
		if first.i != 0 || at+first.of > len(events) {
			return fmt.Errorf("position %d is event %d of %d of a commit that is not there as a whole", at+1, first.i, first.of)
		}
		for i := range first.of {
			p, err := placeOf(&events[at+i])
			if err != nil {
				return err
			}
			if p != (place{first.w, first.n, i, first.of}) {
				return fmt.Errorf("position %d: event %v in the middle of commit %v", at+i+1, p, first)
			}
		}
		if first.n != len(found[first.w]) {
			return fmt.Errorf("position %d: commit %d of writer %d comes after its first %d", at+1, first.n, first.w, len(found[first.w]))
		}
		last := eventstore.Position(at + first.of)
		found[first.w] = append(found[first.w], Acked{first.n, eventstore.Position(at + 1), last})
		at += first.of
	}
	for w, acked := range l.Acked {
		for _, a := range acked {
			if a.N >= len(found[w]) || found[w][a.N] != a {
				return fmt.Errorf("acknowledged: commit %d of writer %d at positions %d to %d; it is not there", a.N, w, a.First, a.Last)
			}
		}
		if more := len(found[w]) - l.acknowledged(w); more > l.Kills {
			return fmt.Errorf("writer %d: %d commits more than were acknowledged after %d kills; it sends one at a time", w, more, l.Kills)
		}
	}
	return nil
}

// acknowledged returns how many commits of a writer must be in the log.
func (l *ledger) acknowledged(w int) int {
	if len(l.Acked[w]) == 0 {
		return 0
	}
	return l.Acked[w][len(l.Acked[w])-1].N + 1
}

// check compares what a follower saw with the log: it must have seen all matching
// events that it passed, once and in order.
func (f *following) check(q eventstore.Query, events []eventstore.Event) error {
	if int(f.Through) > len(events) {
		return fmt.Errorf("it was through position %d; the log has %d events", f.Through, len(events))
	}
	var want []string
	for _, e := range events[f.After:f.Through] {
		if q.Matches(e.Stream, e.Type, e.Tags) {
			want = append(want, fmt.Sprintf("%d=%s", e.Position, e.ID))
		}
	}
	for i := range min(len(want), len(f.Saw)) {
		if want[i] != f.Saw[i] {
			return fmt.Errorf("after position %d it saw %s where %s is", f.After, f.Saw[i], want[i])
		}
	}
	if len(want) != len(f.Saw) {
		return fmt.Errorf("after position %d, through %d, it saw %d events; there are %d", f.After, f.Through, len(f.Saw), len(want))
	}
	return nil
}

// checkViews compares the views with the log. The inline view must have all of it.
func (l *ledger) checkViews(ctx context.Context, s *boltstore.Store, events []eventstore.Event) error {
	at, err := fold.Check(ctx, s, inlineView, events)
	if err != nil {
		return err
	}
	if l.Ready && int(at.Position) != len(events) {
		return fmt.Errorf("the inline view is at position %d of %d", at.Position, len(events))
	}
	_, err = fold.Check(ctx, s, asyncView, events)
	return err
}

// checkIndex reads by the terms of the index.
func (l *ledger) checkIndex(ctx context.Context, s *boltstore.Store, events []eventstore.Event) error {
	queries := []eventstore.Query{followed[1]}
	for w := range writers {
		queries = append(queries, eventstore.Stream(ownStream(w)))
	}
	for _, q := range queries {
		at := 0
		for e, err := range s.Read(ctx, q, eventstore.ReadOptions{}) {
			if err != nil {
				return err
			}
			for at < len(events) && !q.Matches(events[at].Stream, events[at].Type, events[at].Tags) {
				at++
			}
			if at == len(events) || events[at].ID != e.ID {
				return fmt.Errorf("read %v: position %d comes where another event does", q, e.Position)
			}
			at++
		}
		if i := slices.IndexFunc(events[at:], func(e eventstore.Event) bool { return q.Matches(e.Stream, e.Type, e.Tags) }); i >= 0 {
			return fmt.Errorf("read %v: position %d is left out", q, at+i+1)
		}
	}
	return l.checkKeys(ctx, s)
}

// checkKeys looks up each writer's latest keys.
func (l *ledger) checkKeys(ctx context.Context, s *boltstore.Store) error {
	for w, acked := range l.Acked {
		for _, a := range acked[max(0, len(acked)-6):] {
			key := keyOf(w, a.N)
			if key == "" {
				continue
			}
			receipt, found, err := s.Lookup(ctx, key)
			if err != nil || !found || receipt.First != a.First || receipt.Last != a.Last {
				return fmt.Errorf("look up %s: found %v, %v instead of %v: %w", key, found, receipt, a, err)
			}
		}
	}
	return nil
}

// note adds what was found to the ledger and clears what has been checked.
func (l *ledger) note(events []eventstore.Event) {
	l.Kills, l.Follows = 0, [followers][]following{}
	for i := len(l.Known); i < len(events); i++ {
		l.Known = append(l.Known, events[i].ID.String())
		if p, err := placeOf(&events[i]); err == nil && p.n >= l.acknowledged(p.w) {
			if p.i == p.of-1 {
				l.Acked[p.w] = append(l.Acked[p.w], Acked{p.n, events[i].Position - eventstore.Position(p.i), events[i].Position})
			}
		}
	}
}
