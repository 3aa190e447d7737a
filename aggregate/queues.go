package aggregate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// Where many write to one place, one of them gets on and all others have worked in
// vain; and who is slower than the rest may do so each time. So whoever meets a
// conflict takes turns from then on with the others who have, and so does whoever
// comes to a place where there are such. The first who comes goes first.
//
// A place is a stream, or a query that is guarded. That is a help and no lock: those
// who write by other repositories, or in other processes, know nothing of it, and
// what holds is what the store judges. Where nobody meets a conflict, it costs a look
// at a counter.
type turns struct {
	taken atomic.Int64 // places

	mu     sync.Mutex
	places map[string]*place
}

type place struct {
	turn  chan struct{} // full while it is somebody's
	users int           // who has the turn, and who waits for it
}

// placeOf is the place of a stream.
func placeOf(stream eventstore.StreamID) string { return string(stream) }

// placeOfGuard is the place of a query that is guarded. No stream has a NUL.
func placeOfGuard(q eventstore.Query) string { return "\x00" + q.String() }

// contended returns the place of a conflict, or "".
func contended(err error) string {
	var conflict *eventstore.ConflictError
	switch {
	case !errors.As(err, &conflict):
		return ""
	case conflict.Guard != nil:
		return placeOfGuard(conflict.Guard.Query)
	default:
		return placeOf(conflict.Stream)
	}
}

// hasTurn is the key of a context in which a turn is had: who is called in it has to
// wait for nobody, for somebody may be waiting for him.
type hasTurn struct{}

// turn is a caller's at some places.
type turn struct {
	turns *turns // nil: it is nobody's to take
	held  []string
}

// newTurn returns one at no place.
func (t *turns) newTurn(ctx context.Context) *turn {
	if ctx.Value(hasTurn{}) != nil {
		return &turn{}
	}
	return &turn{turns: t}
}

// joinTaken waits for a turn at those of the places that others take turns at.
func (t *turn) joinTaken(ctx context.Context, places func() []string) error {
	if t.turns == nil || t.turns.taken.Load() == 0 {
		return nil
	}
	var taken []string
	all := places()
	t.turns.mu.Lock()
	for _, name := range all {
		if t.turns.places[name] != nil {
			taken = append(taken, name)
		}
	}
	t.turns.mu.Unlock()
	_, err := t.join(ctx, taken...)
	return err
}

// join waits for a turn at places beside those where it is had, which is given up
// before: so all are waited for in one order, and nobody for one who waits for him. It
// reports whether there is one that was not had.
func (t *turn) join(ctx context.Context, places ...string) (joined bool, err error) {
	if t.turns == nil {
		return false, nil
	}
	all := slices.Clone(t.held)
	for _, name := range places {
		if name != "" && !slices.Contains(all, name) {
			all, joined = append(all, name), true
		}
	}
	if !joined {
		return false, nil
	}
	t.leave()
	slices.Sort(all)
	for _, name := range all {
		if err := t.turns.enter(ctx, name); err != nil {
			return false, err
		}
		t.held = append(t.held, name)
	}
	return true, nil
}

// leave lets the next ones have their turns.
func (t *turn) leave() {
	for _, name := range t.held {
		t.turns.leave(name)
	}
	t.held = t.held[:0]
}

// within returns the context of who has the turn, if it is had.
func (t *turn) within(ctx context.Context) context.Context {
	if len(t.held) == 0 {
		return ctx
	}
	return context.WithValue(ctx, hasTurn{}, true)
}

func (t *turns) enter(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	p := t.places[name]
	if p == nil {
		p = &place{turn: make(chan struct{}, 1)}
		if t.places == nil {
			t.places = make(map[string]*place)
		}
		t.places[name] = p
		t.taken.Add(1)
	}
	p.users++
	t.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.forget(name, p)
		return ctx.Err()
	}
}

func (t *turns) leave(name string) {
	t.mu.Lock()
	p := t.places[name]
	t.mu.Unlock()
	<-p.turn
	t.forget(name, p)
}

func (t *turns) forget(name string, p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(t.places, name)
		t.taken.Add(-1)
	}
}
