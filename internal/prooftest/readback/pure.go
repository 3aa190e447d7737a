package readback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// pureCases have functions of an application that cannot take an event, or that execute.
func pureCases() (all []testCase) {
	for _, w := range ways {
		all = append(all,
			testCase{"an Evolve that panics: " + w.name, func(ctx context.Context, _ *rand.Rand, _ int) error { return evolvePanics(ctx, w) }},
			testCase{"a Decide that executes: " + w.name, func(ctx context.Context, _ *rand.Rand, _ int) error { return decideExecutes(ctx, w) }},
		)
	}
	return append(all,
		testCase{"an event that is null", null},
		testCase{"a rule over tags that no event has", noTags},
	)
}

// evolvePanics decides an event that Evolve panics on: nothing is in the log afterwards.
func evolvePanics(ctx context.Context, w way) error {
	a, err := newAccounts(simply, false)
	if err != nil {
		return err
	}
	var sent error
	if !panics(func() { _, sent = w.send(ctx, a, "1", added{5}) }) {
		return fmt.Errorf("it does not panic, and the error is %s", said(sent))
	}
	head, err := a.store.Head(ctx)
	if err == nil && head > 0 {
		err = fmt.Errorf("the head is %d: the event is in the log", head)
	}
	var loaded error
	if panics(func() { _, _, loaded = a.repository.Load(ctx, "1") }) {
		err = errors.Join(err, errors.New("a load panics"))
	}
	return errors.Join(err, loaded)
}

// decideExecutes executes on the aggregate that is being decided: it is an error at once, and
// nothing is in the log. Before that, callers of the aggregate have made a queue.
func decideExecutes(ctx context.Context, w way) error {
	var a *accounts
	var inner error
	a, err := newAccounts(func(s account, c change) ([]change, error) {
		if c == change(added{5}) {
			if _, inner = w.send(ctx, a, "1", added{6}); inner != nil {
				return nil, inner
			}
		}
		return simply(s, c)
	}, true)
	if err != nil {
		return err
	}
	_, err = w.send(ctx, a, "1", added{5})
	if !errors.Is(err, eventstore.ErrInvalid) || inner == nil {
		return fmt.Errorf("the error is %s, and that within %s", said(err), said(inner))
	}
	head, err := a.store.Head(ctx)
	if err == nil && head > 0 {
		err = fmt.Errorf("the head is %d", head)
	}
	return err
}

// null has payloads that are null: neither is an event.
func null(context.Context, *rand.Rand, int) error {
	b := codec.NewBuilder()
	codec.Register[added](b, "added", 2)
	codec.Upcast(b, "added", 1, func(struct{ Sum int64 }) added { return added{7} })
	codec.Rename(b, "put", 1, "added", 2)
	codec.Register[[]string](b, "names", 1)
	registry, err := b.Build()
	if err != nil {
		return err
	}
	for _, stored := range []struct {
		name    string
		version uint32
	}{{"added", 1}, {"added", 2}, {"put", 1}, {"names", 1}} {
		if values, err := registry.DecodeAll(stored.name, stored.version, codec.JSON, []byte(" null\n")); err == nil {
			return fmt.Errorf("null is the event %v", values)
		}
	}
	if _, err := registry.Encode([]string(nil)); err == nil {
		return errors.New("an event is stored that is null")
	}
	return nil
}

// noTags decides by a model over tags that the type of its events does not have.
func noTags(ctx context.Context, _ *rand.Rand, _ int) error {
	a, err := newAccounts(simply, true)
	if err != nil {
		return err
	}
	var n int
	for fault, model := range map[string]aggregate.Model[int]{
		"added": aggregate.NewModel(aggregate.Tagged("x"), fold.On(func(n int, _ added) int { return n + 1 })),
		"taken": aggregate.NewModel(aggregate.Tagged("x"), fold.On(func(n int, _ taken) int { return n + 1 })),
	} {
		_, err := a.decisions.Load(ctx, model.Into(&n))
		if refused := errors.Is(err, eventstore.ErrInvalid); refused != (fault == "taken") {
			return fmt.Errorf("a model of %q by tag: %s", fault, said(err))
		}
	}
	return nil
}
