package readback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type (
	// added and its siblings are commands and events of an account.
	added  struct{ Amount int64 }
	taken  struct{ Amount int64 }
	change interface{ isChange() }
	// addedLater is added after a deploy.
	addedLater struct {
		Note   string
		Amount int64
		Parts  []string
	}
	account map[string]int64 // nil at first, which Evolve cannot write to
)

func (added) isChange()      {}
func (taken) isChange()      {}
func (addedLater) isChange() {}

// accounts is an application with one store.
type accounts struct {
	store      *memstore.Store
	repository *aggregate.Repository[account, change, change]
	decisions  *aggregate.Decisions
	dispatcher *command.Dispatcher
	decider    aggregate.Decider[account, change, change]
}

// newAccounts returns an application. An account that is not made begins as a nil map.
func newAccounts(decide func(account, change) ([]change, error), made bool) (a *accounts, err error) {
	b := codec.NewBuilder()
	tags := func(string) []string { return nil }
	codec.Register[added](b, "added", 1, codec.Tags(func(added) []string { return tags("") }))
	codec.Register[taken](b, "taken", 1)
	registry, err := b.Build()
	if err != nil {
		return nil, err
	}
	a = &accounts{store: memstore.New(nil)}
	a.decider = aggregate.Decider[account, change, change]{
		Category: "account", Decide: decide,
		Evolve: func(s account, _ change) account { s["n"]++; return s },
	}
	if made {
		a.decider.Initial = func() account { return account{} }
	}
	if a.repository, err = aggregate.NewRepository(a.store, registry, a.decider, nil); err != nil {
		return nil, err
	}
	if a.decisions, err = aggregate.NewDecisions(a.store, registry, nil); err != nil {
		return nil, err
	}
	a.dispatcher = command.NewDispatcher()
	return a, command.Route(a.dispatcher, a.repository, func(change) string { return "1" })
}

func simply(_ account, c change) ([]change, error) {
	if later, ok := c.(addedLater); ok {
		c = added{later.Amount}
	}
	return []change{c}, nil
}

// way is a way to send a command to an account.
type way struct {
	name string
	send func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error)
}

var ways = []way{
	{"Execute", func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error) {
		result, err := a.repository.Execute(ctx, id, c)
		return result.Receipt, err
	}},
	{"ExecuteAll", func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error) {
		return aggregate.ExecuteAll(ctx, a.repository.Part(ctx, id, c, nil))
	}},
	{"Decisions", func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error) {
		decided, err := a.decisions.Execute(ctx, a.decider.Decision(id, c))
		return decided.Receipt, err
	}},
	{"Dispatch", func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error) {
		if id != "1" { // which the route has for all
			result, err := a.repository.Execute(ctx, id, c)
			return result.Receipt, err
		}
		_, receipt, err := command.Dispatch[any](ctx, a.dispatcher, c)
		return receipt, err
	}},
	{"DispatchAll", func(ctx context.Context, a *accounts, id string, c change) (eventstore.Receipt, error) {
		if id != "1" {
			return aggregate.ExecuteAll(ctx, a.repository.Part(ctx, id, c, nil))
		}
		_, receipt, err := command.DispatchAll(ctx, a.dispatcher, c)
		return receipt, err
	}},
}

// commandCases send two commands under one id, on every pair of ways.
func commandCases() (all []testCase) {
	for _, first := range ways {
		for _, second := range ways {
			all = append(all, testCase{
				fmt.Sprintf("one id: %s, then %s", first.name, second.name),
				func(ctx context.Context, _ *rand.Rand, _ int) error { return oneID(ctx, first, second) },
			})
		}
	}
	return append(all, testCase{"one id: a command before and after a deploy", deployed}, testCase{"one id: decisions", decisions})
}

func oneID(ctx context.Context, first, second way) error {
	for _, again := range []struct {
		id   string
		c    change
		same bool
	}{
		{"1", added{5}, true}, {"1", added{6}, false}, {"1", taken{5}, false}, {"2", added{5}, false}, {"1", added{}, false},
	} {
		a, err := newAccounts(simply, true)
		if err != nil {
			return err
		}
		ctx := eventstore.WithCommandID(ctx, "k")
		if _, err := first.send(ctx, a, "1", added{5}); err != nil {
			return err
		}
		receipt, err := second.send(ctx, a, again.id, again.c)
		if err := judge(ctx, a, receipt, err, again.same); err != nil {
			return fmt.Errorf("%#v to account %s: %w", again.c, again.id, err)
		}
	}
	return nil
}

// judge returns an error if the second command under an id was not answered as it must be.
func judge(ctx context.Context, a *accounts, receipt eventstore.Receipt, err error, same bool) error {
	head, headErr := a.store.Head(ctx)
	var reused *aggregate.CommandIDError
	switch {
	case headErr != nil || head != 1:
		return fmt.Errorf("the head is %d, expected 1: %s", head, said(headErr))
	case same && (err != nil || !receipt.Repeated):
		return fmt.Errorf("it is no repeat, but %+v: %s", receipt, said(err))
	case !same && !errors.As(err, &reused):
		return fmt.Errorf("it is another command, but the answer is %+v, and the error %s", receipt, said(err))
	}
	return nil
}

// deployed sends a command again after a deploy has added fields to it.
func deployed(context.Context, *rand.Rand, int) error {
	digest := func(amount int64, later bool) (string, error) {
		if later {
			type Add struct {
				Note   string
				When   *int
				Amount int64
				Parts  []string
				In     struct{ A, B int }
			}
			sum, err := aggregate.CommandDigest(Add{Amount: amount})
			return string(sum), err
		}
		type Add struct{ Amount int64 }
		sum, err := aggregate.CommandDigest(Add{amount})
		return string(sum), err
	}
	before, err := digest(5, false)
	after, err2 := digest(5, true)
	other, err3 := digest(6, true)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	if before != after || before == other {
		return errors.New("fields that are zero change the digest, or others do not")
	}
	return nil
}

// decisions makes two decisions under one id, with and without names of their commands.
func decisions(ctx context.Context, _ *rand.Rand, _ int) error {
	a, err := newAccounts(simply, true)
	if err != nil {
		return err
	}
	ctx = eventstore.WithCommandID(ctx, "k")
	decision := func(cmd any) aggregate.Decision {
		d := a.decider.Decision("1", added{5})
		d.Command = cmd
		return d
	}
	if _, err := a.decisions.Execute(ctx, decision(nil)); !errors.Is(err, eventstore.ErrInvalid) {
		return fmt.Errorf("a decision with an id and no command: %s", said(err))
	}
	if _, err := a.decisions.Execute(ctx, decision("first")); err != nil {
		return err
	}
	decided, err := a.decisions.Execute(ctx, decision("second"))
	return judge(ctx, a, decided.Receipt, err, false)
}
