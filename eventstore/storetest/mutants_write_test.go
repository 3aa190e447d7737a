package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// appending is a mutant with another Append.
func appending(family, name string, act func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error)) mutant {
	return mutant{family, name, func(f *faults) { f.append = act }}
}

// versionOf returns a stream's version.
func versionOf(s eventstore.Store, stream eventstore.StreamID) eventstore.Version {
	return eventstore.Version(len(readAll(s, eventstore.Stream(stream), everything)))
}

// readAll reads until the end or an error.
func readAll(s eventstore.Store, q eventstore.Query, opts eventstore.ReadOptions) []eventstore.Event {
	var events []eventstore.Event
	for e, err := range s.Read(context.Background(), q, opts) {
		if err != nil {
			break
		}
		events = append(events, e)
	}
	return events
}

func positionMutants() []mutant {
	return []mutant{
		{"positions", "a gap between positions", func(f *faults) {
			f.event = func(e *eventstore.Event) {
				if e.Position > 2 {
					e.Position++
				}
			}
		}},
		{"positions", "positions from 0", func(f *faults) {
			f.event = func(e *eventstore.Event) { e.Position-- }
		}},
		{"positions", "the head is one too far", func(f *faults) {
			f.head = func(s eventstore.Store, ctx context.Context) (eventstore.Position, error) {
				head, err := s.Head(ctx)
				return head + 1, err
			}
		}},
		{"positions", "readers lag behind the head", func(f *faults) {
			f.read = lagging
		}},
		appending("positions", "commits are written backward", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Events = slices.Clone(c.Events)
			slices.Reverse(c.Events)
			return s.Append(ctx, c)
		}),
		appending("positions", "commits are written event by event", eventByEvent),
	}
}

func versionMutants() []mutant {
	return slices.Concat(givenVersionMutants(), expectationMutants())
}

// givenVersionMutants return wrong versions.
func givenVersionMutants() []mutant {
	return []mutant{
		{"versions", "the position is given as version", func(f *faults) {
			f.event = func(e *eventstore.Event) { e.Version = eventstore.Version(e.Position) }
		}},
		{"versions", "versions per commit, not per event", func(f *faults) {
			f.event = func(e *eventstore.Event) { e.Version = (e.Version + 1) / 2 }
		}},
		{"versions", "events in no stream get a version", func(f *faults) {
			f.event = func(e *eventstore.Event) { e.Version = max(e.Version, 1) }
		}},
		appending("versions", "the conflict names the last event", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			var conflict *eventstore.ConflictError
			if errors.As(err, &conflict) && conflict.Position > 0 {
				conflict.Position, _ = s.Head(ctx)
			}
			return receipt, err
		}),
		appending("versions", "heads of a receipt are sorted by name", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			slices.SortFunc(receipt.Heads, func(a, b eventstore.StreamHead) int {
				return strings.Compare(string(a.Stream), string(b.Stream))
			})
			return receipt, err
		}),
	}
}

// expectationMutants judge expectations wrongly or too early.
func expectationMutants() []mutant {
	return []mutant{
		appending("versions", "a version beyond the actual holds", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				if v := versionOf(s, x.Stream); x.At > eventstore.NoStream && x.At > eventstore.At(v) {
					return eventstore.Any
				}
				return x.At
			}))
		}),
		appending("versions", "Exists holds on an empty stream", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				if x.At == eventstore.Exists {
					return eventstore.Any
				}
				return x.At
			}))
		}),
		appending("versions", "only Any holds", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				if x.At != eventstore.Any {
					return eventstore.At(1_000_000)
				}
				return x.At
			}))
		}),
		appending("versions", "At is off by one", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				if x.At > eventstore.NoStream {
					return x.At - 1
				}
				return x.At
			}))
		}),
		appending("versions", "every expectation is that of a stream without events", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(eventstore.Expect) eventstore.Expectation { return eventstore.NoStream }))
		}),
		appending("versions", "expectations are judged before the lock is taken", judgedTooEarly),
	}
}

func commitMutants() []mutant {
	return slices.Concat(validityMutants(), digestMutants(), atomicityMutants(), conditionMutants(), commitContextMutants())
}

// validityMutants accept invalid commits or refuse valid ones.
func validityMutants() []mutant {
	return []mutant{
		appending("commit", "invalid events are left out", leftOut),
		appending("commit", "every event needs an expectation", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if len(c.Events) > 0 && len(c.Expect) == 0 {
				return eventstore.Receipt{}, eventstore.ErrInvalid
			}
			return s.Append(ctx, c)
		}),
		appending("commit", "a stream that was not expected is under no condition", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			for _, x := range unconditional(c.Events...).Expect {
				if !slices.ContainsFunc(c.Expect, func(y eventstore.Expect) bool { return y.Stream == x.Stream }) {
					c.Expect = append(slices.Clone(c.Expect), x)
				}
			}
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation { return max(x.At, eventstore.Any) }))
		}),
		appending("commit", "a converted number is taken for the version", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				if x.At > 0 && x.At < eventstore.Any {
					return eventstore.At(eventstore.Version(x.At))
				}
				return x.At
			}))
		}),
		appending("commit", "an empty commit is a success", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if len(c.Events) == 0 {
				return eventstore.Receipt{}, nil
			}
			return s.Append(ctx, c)
		}),
		appending("commit", "the key is judged before validity", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if first, found, err := s.Lookup(ctx, c.Key); found {
				first.Repeated = true
				return first, err
			}
			return s.Append(ctx, c)
		}),
		appending("commit", "the last of two expectations for a stream counts", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			for i, x := range c.Expect {
				if i > 0 && x.Stream == c.Expect[i-1].Stream {
					c.Expect = slices.Delete(slices.Clone(c.Expect), i-1, i)
					break
				}
			}
			return s.Append(ctx, c)
		}),
	}
}

// digestMutants lose or change the digest of a commit.
func digestMutants() []mutant {
	return []mutant{
		appending("keys", "the digest of a repeat is that of the repeat", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if receipt.Repeated && len(c.Digest) > 0 {
				receipt.Digest = slices.Clone(c.Digest)
			}
			return receipt, err
		}),
		appending("keys", "a digest of any size is kept", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Digest = c.Digest[:min(len(c.Digest), 32)]
			return s.Append(ctx, c)
		}),
		appending("keys", "digests are dropped", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Digest = nil
			return s.Append(ctx, c)
		}),
	}
}

// atomicityMutants write a part of a commit, or leave something of a failed one.
func atomicityMutants() []mutant {
	return []mutant{
		appending("commit", "commits are written event by event", eventByEvent),
		appending("commit", "only the stream of the first event is written", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Events = slices.DeleteFunc(slices.Clone(c.Events), func(e eventstore.NewEvent) bool { return e.Stream != c.Events[0].Stream })
			return s.Append(ctx, c)
		}),
		appending("commit", "a conflict leaves the first event", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrConflict) {
				_, _ = s.Append(ctx, unconditional(c.Events[0]))
			}
			return receipt, err
		}),
		{"commit", "a failed commit burns its key", burntKeys},
	}
}

// conditionMutants judge the conditions of a commit in the wrong order, or not all.
func conditionMutants() []mutant {
	return []mutant{
		appending("commit", "conditions are judged before the key", conditionsBeforeKey),
		appending("commit", "an expectation on a stream that is not written is ignored", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
				written := slices.ContainsFunc(c.Events, func(e eventstore.NewEvent) bool { return e.Stream == x.Stream })
				if !written && x.At != 0 {
					return eventstore.Any
				}
				return x.At
			}))
		}),
		appending("commit", "guards are judged before expectations", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrConflict) && len(c.Guards) > 0 {
				c.Expect = nil
				c.Events = []eventstore.NewEvent{event("", "x")}
				return s.Append(ctx, c)
			}
			return receipt, err
		}),
	}
}

// commitContextMutants treat an ended context wrongly.
func commitContextMutants() []mutant {
	return []mutant{
		appending("commit", "an ended context is ignored", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.Append(context.WithoutCancel(ctx), c)
		}),
		appending("commit", "a context that ends on the way is a success", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			ended := ctx.Err()
			receipt, err := s.Append(ctx, c)
			if ended == nil && errors.Is(err, context.Canceled) {
				return receipt, nil
			}
			return receipt, err
		}),
		appending("commit", "a context that has ended is an error when all is done", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if err == nil {
				err = ctx.Err()
			}
			return receipt, err
		}),
	}
}

// expectingInstead is the commit with other expectations.
func expectingInstead(c eventstore.Commit, at func(eventstore.Expect) eventstore.Expectation) eventstore.Commit {
	c.Expect = slices.Clone(c.Expect)
	for i, x := range c.Expect {
		c.Expect[i].At = at(x)
	}
	return c
}

// leftOut writes a commit without its invalid events.
func leftOut(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	c.Events = slices.DeleteFunc(slices.Clone(c.Events), func(e eventstore.NewEvent) bool {
		return eventstore.Validate(unconditional(e)) != nil
	})
	return s.Append(ctx, c)
}

// conditionsBeforeKey ignores the key of a commit whose expectations fail.
func conditionsBeforeKey(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	for _, x := range c.Expect {
		if !x.At.Holds(versionOf(s, x.Stream)) {
			c.Key = ""
		}
	}
	return s.Append(ctx, c)
}

// eventByEvent writes a commit as one commit for each event.
func eventByEvent(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if len(c.Events) < 2 || eventstore.Validate(c) != nil {
		return s.Append(ctx, c)
	}
	var whole eventstore.Receipt
	for i, e := range c.Events {
		receipt, err := s.Append(ctx, unconditional(e))
		if err != nil {
			return eventstore.Receipt{}, err
		}
		if i == 0 {
			whole = receipt
		}
		whole.Last = receipt.Last
		time.Sleep(50 * time.Microsecond)
	}
	return whole, nil
}

// judgedTooEarly judges expectations, waits while others write, and then writes.
func judgedTooEarly(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	for _, x := range c.Expect {
		if !x.At.Holds(versionOf(s, x.Stream)) {
			return s.Append(ctx, c)
		}
	}
	time.Sleep(time.Millisecond)
	return s.Append(ctx, expectingInstead(c, func(x eventstore.Expect) eventstore.Expectation {
		return min(x.At, eventstore.Any)
	}))
}

func burntKeys(f *faults) {
	var mu sync.Mutex
	burnt := make(map[string]bool)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		if burnt[c.Key] {
			return eventstore.Receipt{Repeated: true}, nil
		}
		receipt, err := s.Append(ctx, c)
		if err != nil && c.Key != "" {
			burnt[c.Key] = true
		}
		return receipt, err
	}
}
