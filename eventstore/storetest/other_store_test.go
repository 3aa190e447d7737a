package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// TestRun_OtherStore runs the rules on a correct store that leaves gaps between
// positions and keeps smaller limits, as the contract allows. No rule may fail, and
// a skipped rule must give its reason.
func TestRun_OtherStore(t *testing.T) {
	for _, f := range families() {
		for _, r := range f.rules {
			rec := &recorder{TB: t}
			rec.run(gappyConfig(), r, patience)
			require.Empty(t, rec.failures, "%s/%s", f.name, r.name)
			for _, reason := range rec.skips {
				known := strings.Contains(reason, "is nil") || strings.Contains(reason, "gaps") || strings.Contains(reason, "rows") || strings.Contains(reason, "at most")
				require.True(t, known, "%s/%s is skipped: %s", f.name, r.name, reason)
			}
		}
	}
}

func TestRunModel_OtherStore(t *testing.T) {
	for seed := range uint64(6) {
		rec := &recorder{TB: t}
		rec.run(gappyConfig(), modelRule(modelOracle, seed, modelSteps), patience)
		require.Empty(t, rec.failures)
	}
}

func gappyConfig() Config {
	return Config{Open: func(testing.TB) eventstore.Store { return &gappy{memstore.New(nil)} }}
}

// gappy is a store that uses every third position, as a store does that also numbers
// other things.
type gappy struct{ log *memstore.Store }

const gap = 3

func (g *gappy) limits() eventstore.Limits {
	limits := eventstore.StandardLimits()
	limits.NameBytes, limits.TagsPerEvent, limits.MetadataBytes, limits.PayloadBytes = 120, 20, 2_000, 1_000_000
	limits.EventsPerCommit, limits.CommitBytes = 1_000, 2_000_000
	limits.ItemsPerQuery, limits.GuardsPerCommit = 10, 20
	limits.NamesPerItem, limits.NamesPerQuery, limits.NamesPerCommit, limits.ExpectationsPerCommit = 40, 300, 2_000, 500
	limits.TagsPerCommit = 10_000
	return limits
}

func (g *gappy) receipt(r eventstore.Receipt) eventstore.Receipt {
	r.First, r.Last = r.First*gap, r.Last*gap
	return r
}

func (g *gappy) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if _, err := g.log.Head(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := g.limits().Validate(c); err != nil {
		return eventstore.Receipt{}, err
	}
	guards := c.Guards
	c.Guards = make([]eventstore.Guard, len(guards))
	for i, guard := range guards {
		c.Guards[i] = eventstore.Guard{Query: guard.Query, After: guard.After / gap}
	}
	receipt, err := g.log.Append(ctx, c)
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		conflict.Position *= gap
		if conflict.Guard != nil {
			conflict.Guard = &guards[conflict.GuardIndex]
		}
	}
	return g.receipt(receipt), err
}

func (g *gappy) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	receipt, found, err := g.log.Lookup(ctx, key)
	return g.receipt(receipt), found, err
}

func (g *gappy) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		if err := g.limits().ValidateRead(q, opts); err != nil {
			yield(eventstore.Event{}, err)
			return
		}
		if opts.To > 0 && opts.To < gap {
			return
		}
		inner := opts
		inner.From, inner.To = opts.From/gap, opts.To/gap
		if opts.From%gap > 0 {
			inner.From++
		}
		for e, err := range g.log.Read(ctx, q, inner) {
			e.Position *= gap
			if !yield(e, err) {
				return
			}
		}
	}
}

func (g *gappy) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		if err := g.limits().ValidateRead(q, everything); err != nil {
			yield(eventstore.Batch{}, err)
			return
		}
		if head, err := g.Head(ctx); err == nil && after > head {
			yield(eventstore.Batch{}, fmt.Errorf("%w: beyond the head", eventstore.ErrInvalid))
			return
		}
		for b, err := range g.log.Follow(ctx, q, after/gap) {
			for i := range b.Events {
				b.Events[i].Position *= gap
			}
			b.Through *= gap
			if !yield(b, err) {
				return
			}
		}
	}
}

func (g *gappy) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := g.log.Head(ctx)
	return head * gap, err
}

func (g *gappy) Info() eventstore.Info {
	info := g.log.Info()
	info.Gapless, info.Limits = false, g.limits()
	return info
}

func (g *gappy) Close() error { return g.log.Close() }
