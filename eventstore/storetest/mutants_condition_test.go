package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

func keyMutants() []mutant {
	return slices.Concat(keyIdentityMutants(), keyAnswerMutants())
}

// keyIdentityMutants are wrong about which commits carry the same key.
func keyIdentityMutants() []mutant {
	return []mutant{
		appending("keys", "content under one key is compared", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			first, found, _ := s.Lookup(ctx, c.Key)
			if found && first.Last-first.First+1 != eventstore.Position(len(c.Events)) {
				return eventstore.Receipt{}, fmt.Errorf("%w: another commit has the key", eventstore.ErrConflict)
			}
			return s.Append(ctx, c)
		}),
		appending("keys", "keys are one for a stream", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if c.Key != "" && len(c.Key) < 100 {
				c.Key = string(c.Events[0].Stream) + c.Key
			}
			return s.Append(ctx, c)
		}),
		appending("keys", "keys ignore case", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Key = strings.ToLower(c.Key)
			return s.Append(ctx, c)
		}),
		appending("keys", "the same content is a repeat", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if c.Key != "" && len(c.Events) == 4 {
				c.Key = "k"
			}
			return s.Append(ctx, c)
		}),
		{"keys", "the empty key is an unused one", func(f *faults) {
			f.lookup = func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error) {
				if key == "" {
					return eventstore.Receipt{}, false, nil
				}
				return s.Lookup(ctx, key)
			}
		}},
	}
}

// keyAnswerMutants give a wrong answer to a key.
func keyAnswerMutants() []mutant {
	return []mutant{
		appending("keys", "a repeat is written again", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if receipt.Repeated {
				_, _ = s.Append(ctx, unconditional(c.Events...))
			}
			return receipt, err
		}),
		appending("keys", "a repeat is not marked", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			receipt.Repeated = false
			return receipt, err
		}),
		appending("keys", "conditions are judged before the key", conditionsBeforeKey),
		appending("keys", "a repeat has the heads of today", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			for i, head := range receipt.Heads {
				receipt.Heads[i].Version = versionOf(s, head.Stream)
			}
			return receipt, err
		}),
		{"keys", "an unknown key is an error", func(f *faults) {
			f.lookup = func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error) {
				receipt, found, err := s.Lookup(ctx, key)
				if err == nil && !found {
					err = eventstore.ErrInvalid
				}
				return receipt, found, err
			}
		}},
		{"keys", "keys are remembered for a day", forgottenKeys},
	}
}

func repeatMutants() []mutant {
	return []mutant{
		appending("repeats", "a re-send is a conflict", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if receipt.Repeated && c.Key == "" {
				return eventstore.Receipt{}, &eventstore.ConflictError{}
			}
			return receipt, err
		}),
		appending("repeats", "the first id alone makes a repeat", oneIDIsEnough),
		{"repeats", "ids are never written twice", idsOnce},
		appending("repeats", "missing ids are equal ids", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrConflict) && c.Events[0].ID == uuid.Nil {
				return eventstore.Receipt{Repeated: true}, nil
			}
			return receipt, err
		}),
		appending("repeats", "only the first failed condition is looked at", firstConditionOnly),
		appending("repeats", "a repeat is not marked", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			receipt.Repeated = false
			return receipt, err
		}),
	}
}

func guardMutants() []mutant {
	return slices.Concat(guardAfterMutants(), guardJudgingMutants())
}

// guardAfterMutants take a guard's After for another position.
func guardAfterMutants() []mutant {
	return []mutant{
		guarding("guards", "off by one: the event at After conflicts", func(g *eventstore.Guard) { g.After -= min(g.After, 1) }),
		guarding("guards", "off by one: the event after After does not conflict", func(g *eventstore.Guard) { g.After++ }),
		guarding("guards", "After is ignored", func(g *eventstore.Guard) { g.After = 0 }),
		guarding("guards", "After 0 means after the head", func(g *eventstore.Guard) {
			if g.After == 0 {
				g.After = 1 << 40
			}
		}),
		appending("guards", "After beyond the head is refused", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			head, _ := s.Head(ctx)
			for _, g := range c.Guards {
				if g.After > head {
					return eventstore.Receipt{}, eventstore.ErrInvalid
				}
			}
			return s.Append(ctx, c)
		}),
	}
}

// guardJudgingMutants judge guards with another query, against other events or at
// the wrong time.
func guardJudgingMutants() []mutant {
	return []mutant{
		guarding("guards", "tags of a guard are OR-ed", func(g *eventstore.Guard) {
			var items []eventstore.Item
			for _, item := range g.Query.Items() {
				for _, tag := range item.Tags {
					items = append(items, eventstore.Item{Tags: []eventstore.Tag{tag}})
				}
			}
			if len(items) > 0 {
				g.Query = eventstore.Match(items...)
			}
		}),
		appending("guards", "a guard is judged against its own events", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			for i, g := range c.Guards {
				for _, e := range c.Events {
					if g.Query.Matches(e.Stream, e.Type, e.Tags) {
						return eventstore.Receipt{}, &eventstore.ConflictError{Guard: &c.Guards[i], GuardIndex: i}
					}
				}
			}
			return s.Append(ctx, c)
		}),
		appending("guards", "the second guard is ignored", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Guards = c.Guards[:min(1, len(c.Guards))]
			return s.Append(ctx, c)
		}),
		appending("guards", "guards are judged before the lock is taken", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			for _, g := range c.Guards {
				if len(readAll(s, g.Query, eventstore.ReadOptions{From: g.After + 1})) > 0 {
					return s.Append(ctx, c)
				}
			}
			time.Sleep(time.Millisecond)
			c.Guards = nil
			return s.Append(ctx, c)
		}),
	}
}

// guarding is a mutant that judges other guards than it was given.
func guarding(family, name string, change func(g *eventstore.Guard)) mutant {
	return appending(family, name, func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		c.Guards = slices.Clone(c.Guards)
		for i := range c.Guards {
			change(&c.Guards[i])
		}
		return s.Append(ctx, c)
	})
}

// forgottenKeys forgets all keys when the log is opened.
func forgottenKeys(f *faults) {
	f.config = func(cfg *Config) {
		reopen := cfg.Reopen
		cfg.Reopen = func(tb testing.TB, s eventstore.Store) eventstore.Store {
			reopened := reopen(tb, s).(*broken)
			reopened.faults = &faults{
				append: func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
					c.Key += " of today"
					return s.Append(ctx, c)
				},
				lookup: func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error) {
					return s.Lookup(ctx, key+" of today")
				},
			}
			return reopened
		}
	}
}

// oneIDIsEnough treats a conflict with an event as a repeat if one id of the commit
// is the event's.
func oneIDIsEnough(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	receipt, err := s.Append(ctx, c)
	var conflict *eventstore.ConflictError
	if !errors.As(err, &conflict) || conflict.Position == 0 {
		return receipt, err
	}
	for _, e := range readAll(s, eventstore.All(), eventstore.ReadOptions{From: conflict.Position, To: conflict.Position}) {
		if slices.ContainsFunc(c.Events, func(n eventstore.NewEvent) bool { return n.ID == e.ID }) {
			return eventstore.Receipt{First: e.Position, Last: e.Position, Recorded: e.Recorded, Repeated: true}, nil
		}
	}
	return receipt, err
}

// idsOnce treats any commit whose first id is in the log as a repeat.
func idsOnce(f *faults) {
	var mu sync.Mutex
	seen := make(map[uuid.UUID]eventstore.Receipt)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(c.Events) == 0 || c.Events[0].ID == uuid.Nil {
			return s.Append(ctx, c)
		}
		if first, repeated := seen[c.Events[0].ID]; repeated {
			first.Repeated = true
			return first, nil
		}
		receipt, err := s.Append(ctx, c)
		if err == nil {
			seen[c.Events[0].ID] = receipt
		}
		return receipt, err
	}
}

// firstConditionOnly recognizes a repeat by the first failed condition only.
func firstConditionOnly(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	receipt, err := s.Append(ctx, c)
	if !receipt.Repeated || c.Key != "" {
		return receipt, err
	}
	for _, x := range c.Expect {
		v := x.At.FirstConflict(versionOf(s, x.Stream))
		for _, e := range readAll(s, eventstore.Stream(x.Stream), everything) {
			if e.Version == v && e.Position > receipt.Last {
				return eventstore.Receipt{}, &eventstore.ConflictError{Stream: x.Stream, Expected: x.At, Position: e.Position}
			}
		}
	}
	return receipt, err
}
