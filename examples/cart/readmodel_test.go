package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// all is more rows than any test has.
const all = math.MaxInt32

// readOnly calls use with the shop on a log as it is now.
func readOnly(t *testing.T, db string, use func(*shop)) {
	t.Helper()
	require.NoError(t, withShopToRead(&environment{db: db}, func(s *shop) error {
		use(s)
		return nil
	}))
}

// requireReadModels checks that both read models are at the head and agree with the log.
func requireReadModels(t *testing.T, db string) {
	t.Helper()
	readOnly(t, db, func(s *shop) {
		for _, p := range []*projection.Projection{s.summaries.Projection, s.ranking.Projection} {
			status, err := s.views.Status(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, projection.Live, status.State, p.Name())
			require.Nil(t, status.Fault, p.Name())
			require.Zero(t, status.Behind, p.Name())
		}
		requireSummaries(t, s, s.store, 0)
		requireRanking(t, s, s.store, 0)
	})
}

// requireSummaries compares the summaries with a new fold of the log up to a position.
func requireSummaries(t *testing.T, s *shop, from projection.Reader, to eventstore.Position) {
	t.Helper()
	states, last := make(map[string]cart.State), make(map[string]record)
	for event, err := range s.store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{To: to}) {
		require.NoError(t, err)
		r, err := s.record(event)
		require.NoError(t, err)
		id := r.Stream.ID()
		states[id], last[id] = cart.Evolve(states[id], r.Data), r
	}
	shown, err := s.summaries.ByTotal(t.Context(), from, all)
	require.NoError(t, err)
	require.Len(t, shown, len(states))
	for _, row := range shown {
		state := states[row.Cart]
		require.Equal(t, cart.Summary{
			Cart: row.Cart, Version: last[row.Cart].Version, Lines: int64(len(state.Lines)), Pieces: state.Pieces(),
			Total: state.Total(), CheckedOut: state.CheckedOut, Changed: last[row.Cart].Recorded.UTC(),
		}, row)
		loaded, version, err := s.summaries.Load(t.Context(), from, row.Cart)
		require.NoError(t, err)
		require.Equal(t, row.Version, version)
		require.Equal(t, slices.Concat(state.Lines), loaded.Lines)
	}
	changed, err := s.summaries.ByChange(t.Context(), from, all)
	require.NoError(t, err)
	require.ElementsMatch(t, shown, changed)
}

// requireRanking compares the best sellers with a new fold of the log up to a position.
func requireRanking(t *testing.T, s *shop, from projection.Reader, to eventstore.Position) {
	t.Helper()
	sales, _, err := cart.BestSellers().Run(t.Context(), s.store, s.registry, &fold.Options{To: to})
	require.NoError(t, err)
	want := sales.ByPieces(all)
	shown, err := s.ranking.ByPieces(t.Context(), from, all)
	require.NoError(t, err)
	require.Equal(t, slices.Concat(want), slices.Concat(shown)) // nil where there are none
	want = sales.ByRevenue(all)
	shown, err = s.ranking.ByRevenue(t.Context(), from, all)
	require.NoError(t, err)
	require.Equal(t, slices.Concat(want), slices.Concat(shown))
}

// older carries out commands as an older program without read models.
func (c *cli) older(commands ...cart.Command) {
	c.t.Helper()
	require.NoError(c.t, useLog(c.db, nil, func(s *shop) error {
		for _, cmd := range commands {
			if _, err := s.dispatch(c.t.Context(), cmd); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestCLI_List(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "bob", "71053", "3", "3.39")
	c.ok("add", "ann", "85123A", "2", "2.55")
	c.ok("add", "ann", "85123A", "1", "2")
	c.ok("add", "eve", "85123A", "4000", "2.55")
	c.ok("checkout", "bob")
	recorded := make(map[string]string)
	for _, event := range c.log() {
		recorded[string(event.Stream)] = stamp(event.Recorded)
	}
	head := "CART                      LINES         PIECES                TOTAL  CHANGED\n"
	ann := "ann          open             2              3                7.100  " + recorded["cart-ann"] + "\n"
	bob := "bob          checked out      1              3               10.170  " + recorded["cart-bob"] + "\n"
	eve := "eve          open             1          4,000           10,200.000  " + recorded["cart-eve"] + "\n"
	require.Equal(t, head+bob+eve+ann, c.ok("list"))
	require.Equal(t, head+bob, c.ok("list", "-n", "1"))
	require.Equal(t, head+eve+bob, c.ok("list", "-by", "total", "-n=2"))
}

// TestCLI_LogWithoutReadModels expects that read models are built or updated when they are
// first needed.
func TestCLI_LogWithoutReadModels(t *testing.T) {
	for _, first := range []string{"show ann", "list", "top", "add ann x 1 1"} {
		t.Run(first, func(t *testing.T) {
			c := newCLI(t)
			for range 2 {
				c.older(pieces(2, heart, "ann"), pieces(3, lantern, "bob"))
				c.ok(strings.Fields(first)...)
				c.older(pieces(1, lantern, "ann"), cart.Checkout{Cart: "bob"})
				c.ok(strings.Fields(first)...)
				require.Contains(t, c.ok("show", "ann"), " 85123A ")
				require.Contains(t, c.ok("list", "-by", "total"), "\nann ")
				require.Contains(t, c.ok("top"), " 3               10.170  White metal lantern\n")
				requireReadModels(t, c.db)
				c.db += "2"
			}
		})
	}
}

// TestCLI_LogThatCannotBeWritten expects answers from a fold of the whole log.
func TestCLI_LogThatCannotBeWritten(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "ann", "85123A", "2", "2.55")
	reader, err := boltstore.Open(c.db, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	require.Contains(t, c.ok("show", "ann"), "version 1\n", "the read model is up to date")
	require.NoError(t, reader.Close())

	c.older(pieces(3, lantern, "ann"), cart.Checkout{Cart: "ann"})
	reader, err = boltstore.Open(c.db, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	for args, want := range map[string]string{
		"show ann": "version 3\ncart ann, checked out: 5 pieces, 15.270\n",
		"top":      "   1. 71053                     3               10.170  White metal lantern\n",
	} {
		status, stdout, stderr := c.run(strings.Fields(args)...)
		require.Zero(t, status)
		require.Contains(t, stdout, want)
		require.Regexp(t, `^cart: note: the read model ".*" is behind and could not be updated \(.*locked.*\); this is from the whole log\n$`, stderr)
	}
	status, stdout, stderr := c.run("show", "nobody")
	require.Equal(t, 1, status)
	require.Empty(t, stdout)
	require.Contains(t, stderr, `there is no cart "nobody"`)
}

// otherSummaries is another definition of the read model of carts, with the same tables.
func otherSummaries(version uint32, handle func(e eventstore.Event) error) *projection.Projection {
	p := projection.New("carts", version)
	projection.NewTable[projection.Pair[string, projection.Pair[string, int]], int](p, "lines")
	carts := projection.NewTable[string, int](p, "carts")
	projection.NewIndex(carts, "total", func(int) (int, bool) { return 0, false })
	projection.NewIndex(carts, "change", func(int) (time.Time, bool) { return time.Time{}, false })
	projection.On(p, func(_ projection.Tx, e fold.Event[cart.ItemAdded]) error { return handle(e.Event) })
	projection.On(p, func(_ projection.Tx, e fold.Event[cart.ItemQuantityChanged]) error { return handle(e.Event) })
	projection.On(p, func(_ projection.Tx, e fold.Event[cart.ItemRemoved]) error { return handle(e.Event) })
	projection.On(p, func(_ projection.Tx, e fold.Event[cart.CartCheckedOut]) error { return handle(e.Event) })
	return p
}

// attachOther attaches another definition of the read model, and adds an item.
func (c *cli) attachOther(p *projection.Projection) {
	c.t.Helper()
	require.NoError(c.t, useLog(c.db, nil, func(s *shop) error {
		err := s.views.Attach(c.t.Context(), p)
		if err == nil {
			_, err = s.dispatch(c.t.Context(), pieces(1, stand, "ann"))
		}
		return err
	}))
}

// TestCLI_ReadModelWithAFault expects that a read model with a fault is rebuilt when it is
// next needed.
func TestCLI_ReadModelWithAFault(t *testing.T) {
	for _, first := range []string{"show ann", "add ann x 1 1"} {
		c := newCLI(t)
		c.older(pieces(2, heart, "ann"))
		c.attachOther(otherSummaries(1, func(e eventstore.Event) error {
			if e.Position == 2 {
				return errors.New("a mistake")
			}
			return nil
		}))
		readOnly(t, c.db, func(s *shop) {
			_, _, err := s.summaries.Load(t.Context(), s.store, "ann")
			require.ErrorIs(t, err, eventstore.ErrFaulted)
		})
		c.ok(strings.Fields(first)...)
		c.ok("top")
		requireReadModels(t, c.db)
	}
}

// TestCLI_ReadModelOfALaterProgram uses an older program on a log with a later version of
// the read model.
func TestCLI_ReadModelOfALaterProgram(t *testing.T) {
	c := newCLI(t)
	c.attachOther(otherSummaries(2, func(eventstore.Event) error { return nil }))
	status, stdout, stderr := c.run("add", "ann", "85123A", "2", "2.55")
	require.Zero(t, status)
	require.Contains(t, stdout, "cart ann, open: 3 pieces")
	require.Contains(t, stderr, "cart: note: the summaries of carts are not kept up to date: ")
	status, stdout, stderr = c.run("show", "ann")
	require.Zero(t, status)
	require.Contains(t, stdout, "version 2\ncart ann, open: 3 pieces")
	require.Contains(t, stderr, "this is from the whole log")
}

// TestCLI_BestSellersThatCannotBeCounted expects that top says so, and goes on.
func TestCLI_BestSellersThatCannotBeCounted(t *testing.T) {
	c := newCLI(t)
	for _, id := range []string{"1", "2"} {
		c.ok("add", id, "a", fmt.Sprint(int64(math.MaxInt64)), "0.001")
		c.ok("checkout", id)
	}
	const most = "   1. a            9,223,372,036,854,775,807 9,223,372,036,854,775.807  (at least)"
	require.Contains(t, c.ok("top"), most)
	status, stdout, stderr := c.run("import", write(t, header+orderRow("3", "a", "1", "1")+orderRow("3", "b", "1", "1")))
	require.Zero(t, status)
	require.Equal(t, "rows 2 accepted 2 rejected 0 carts 1 pieces 2 revenue 2.000\nrepeated 0\n", stdout)
	require.Empty(t, stderr)
	require.Contains(t, c.ok("top"), most+" Thing a\n   2. b")
}
