package aggregate_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// sender sends a command to a store in one of several ways.
type sender func(t *testing.T, ctx context.Context, store eventstore.Store) (eventstore.Receipt, error)

func executing(id string, cmd command) sender {
	return func(t *testing.T, ctx context.Context, store eventstore.Store) (eventstore.Receipt, error) {
		result, err := newRepository(t, store, nil).Execute(ctx, id, cmd)
		return result.Receipt, err
	}
}

// deciding sends a decision; its Command is cmd, or if that is nil the one of the decider.
func deciding(cmd any, id string, of command) sender {
	return func(t *testing.T, ctx context.Context, store eventstore.Store) (eventstore.Receipt, error) {
		d, err := aggregate.NewDecisions(store, newRegistry(t), nil)
		require.NoError(t, err)
		decision := decider().Decision(id, of)
		if cmd != nil {
			decision.Command = cmd
		}
		decided, err := d.Execute(ctx, decision)
		return decided.Receipt, err
	}
}

func batching(cmds ...command) sender {
	return func(t *testing.T, ctx context.Context, store eventstore.Store) (eventstore.Receipt, error) {
		r := newRepository(t, store, nil)
		parts := make([]aggregate.Part, len(cmds))
		for i, cmd := range cmds {
			parts[i] = r.Part(ctx, "1", cmd, nil)
		}
		return aggregate.ExecuteAll(ctx, parts...)
	}
}

// TestCommandID_CarriesOutOneCommand sends a command and then another one under its id, in
// every way and in every order of ways.
func TestCommandID_CarriesOutOneCommand(t *testing.T) {
	a, b := count{Name: "a", N: 1}, count{Name: "b", N: 1}
	// Each line has ways to send the same command; any other line is another command.
	same := [][]sender{
		{executing("1", a), deciding(nil, "1", a), batching(a)},
		{executing("1", b), deciding(nil, "1", b), batching(b)},
		{executing("1", closeTally{})},
		{executing("2", a), deciding(nil, "2", a)},
		{batching(a, b)},
		{batching(b, a)},
		{deciding("a", "1", a), deciding("a", "1", b)},
		{deciding("b", "1", a)},
	}
	for i, first := range same {
		for j, second := range same {
			for _, send := range first {
				for _, again := range second {
					sendTwice(t, send, again, i == j)
				}
			}
		}
	}
}

// sendTwice sends two commands under one id.
func sendTwice(t *testing.T, first, second sender, same bool) {
	t.Helper()
	store := newStore(t)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	receipt, err := first(t, ctx, store)
	require.NoError(t, err)
	events := len(logged(t, store))
	repeat, err := second(t, ctx, store)
	require.Len(t, logged(t, store), events, "nothing is appended")
	if same {
		require.NoError(t, err)
		require.True(t, repeat.Repeated)
		require.Equal(t, receipt.First, repeat.First)
		return
	}
	var reused *aggregate.CommandIDError
	require.ErrorAs(t, err, &reused)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.Equal(t, "k", reused.CommandID)
	require.Equal(t, receipt.First, reused.Receipt.First)
}

// TestCommandID_TheAppendFindsOut has the other command carried out just before the append.
func TestCommandID_TheAppendFindsOut(t *testing.T) {
	ctx := eventstore.WithCommandID(t.Context(), "k")
	var reused *aggregate.CommandIDError

	store, _ := blind(t)
	r := newRepository(t, store, nil)
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	_, err := r.Execute(ctx, "1", count{Name: "b", N: 1})
	require.ErrorAs(t, err, &reused)

	store, _ = blind(t)
	r = newRepository(t, store, nil)
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	_, err = aggregate.ExecuteAll(ctx, r.Part(ctx, "1", count{Name: "b", N: 1}, nil))
	require.ErrorAs(t, err, &reused)

	d := blindRooms(t, 2)
	_, err = d.Execute(ctx, record(guestLeft{"a", "x"}))
	require.NoError(t, err)
	_, err = d.Execute(ctx, record(guestLeft{"a", "y"}))
	require.ErrorAs(t, err, &reused)
	require.EqualError(t, err, `execute decision: invalid: command id "k" was used for another command, which wrote to no stream, at position 2`)
}

func TestCommandID_ADigestOfOnesOwn(t *testing.T) {
	type timed struct {
		command
		Name string
		At   time.Time
	}
	digest := func(cmd any) ([]byte, error) {
		c, ok := cmd.(timed)
		if !ok {
			return nil, errors.New("a strange command")
		}
		c.At = time.Time{}
		return aggregate.CommandDigest(c)
	}
	decider := decider()
	decider.Decide = func(_ tally, c command) ([]event, error) { return []event{counted{Name: "a", N: 1}}, nil }
	r, err := aggregate.NewRepository(newStore(t), newRegistry(t), decider, &aggregate.Options{Digest: digest})
	require.NoError(t, err)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	_, err = r.Execute(ctx, "1", timed{Name: "a", At: time.Now()})
	require.NoError(t, err)
	result, err := r.Execute(ctx, "1", timed{Name: "a", At: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.True(t, result.Receipt.Repeated)
	_, err = r.Execute(ctx, "1", timed{Name: "b"})
	var reused *aggregate.CommandIDError
	require.ErrorAs(t, err, &reused)
	_, err = r.Execute(ctx, "1", count{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `command id "k": a strange command`)
	_, err = r.Execute(t.Context(), "1", count{})
	require.NoError(t, err, "without an id there is nothing to tell apart")

	none, err := aggregate.NewDecisions(newStore(t), roomRegistry(t), &aggregate.Options{Digest: aggregate.NoDigest})
	require.NoError(t, err)
	decision := record(guestLeft{"a", "x"})
	decision.Command = nil
	_, err = none.Execute(ctx, decision)
	require.NoError(t, err)
	repeat, err := none.Execute(ctx, record(guestLeft{"a", "y"}))
	require.NoError(t, err)
	require.True(t, repeat.Receipt.Repeated)
	_, err = newDecisions(t, newStore(t), nil).Execute(ctx, decision)
	require.ErrorContains(t, err, `command id "k": the Decision names no Command, so that the id could be that of any decision`)
}

func TestCommandHandler_NamesTheCommand(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	handle := aggregate.CommandHandler(d, func(guest string) aggregate.Decision {
		decision := record(guestLeft{"a", guest})
		decision.Command = nil
		return decision
	})
	ctx := eventstore.WithCommandID(t.Context(), "k")
	_, _, err := handle(ctx, "ann")
	require.NoError(t, err)
	_, receipt, err := handle(ctx, "ann")
	require.NoError(t, err)
	require.True(t, receipt.Repeated)
	var reused *aggregate.CommandIDError
	_, _, err = handle(ctx, "bob")
	require.ErrorAs(t, err, &reused)
}

// A command before and after a deploy, by version of the program.
type (
	inner1 struct{ Street string }
	inner2 struct {
		City   string
		Street string
	}
	base struct{ Note string }
)

func digestOf(t *testing.T, cmd any) string {
	t.Helper()
	sum, err := aggregate.CommandDigest(cmd)
	require.NoError(t, err)
	require.Len(t, sum, 32)
	return string(sum)
}

func TestCommandDigest_FieldsThatAreZero(t *testing.T) {
	before := func() any {
		type Move struct {
			To   inner1
			All  []inner1
			ByID map[string]inner1
		}
		return Move{inner1{"x"}, []inner1{{}, {"y"}}, map[string]inner1{"a": {"z"}}}
	}
	after := func() any {
		type Move struct {
			base
			New    *int `json:",omitempty"`
			Flag   bool
			ByID   map[string]inner2
			Labels []string
			All    []inner2
			To     inner2
			When   time.Time
			Any    any
		}
		return Move{To: inner2{Street: "x"}, All: []inner2{{}, {Street: "y"}}, ByID: map[string]inner2{"a": {Street: "z"}}, Labels: []string{}}
	}
	require.Equal(t, digestOf(t, before()), digestOf(t, after()), "fields that a deploy adds, zero, change nothing")
}

func TestCommandDigest(t *testing.T) {
	type Pay struct {
		Amount  int `json:"amount"`
		Bill    any
		Parts   map[string]int
		Due     time.Time
		private string
		Note    *string
		Sum     big.Int
		Skipped string `json:"-"`
	}
	type Refund Pay
	empty, noon := "", time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	distinct := []any{
		Pay{}, Refund{}, Pay{Amount: 1}, Refund{Amount: 1}, Pay{Amount: -1}, Pay{Bill: 1}, Pay{Bill: "1"}, Pay{Bill: []int{1}},
		Pay{Bill: [2]bool{}}, Pay{Bill: [3]bool{}}, Pay{Bill: 1.5}, Pay{Bill: 1i},
		Pay{Parts: map[string]int{"a": 0}}, Pay{Parts: map[string]int{"a": 1}}, Pay{Parts: map[string]int{"b": 1}},
		Pay{Parts: map[string]int{"a": 1, "b": 1}}, Pay{Due: noon}, Pay{Due: noon.Add(1)}, Pay{private: "a"}, Pay{private: "b"},
		Pay{Note: &empty}, Pay{Sum: *big.NewInt(1)}, Pay{Sum: *big.NewInt(2)}, Pay{Bill: "\xff"}, Pay{Bill: "\xfe"},
		Pay{Bill: []any{nil}}, Pay{Bill: []any{"", ""}}, Pay{Bill: []any{`","`}}, Pay{Bill: map[string]any{"a": "b"}},
		Pay{Bill: json.RawMessage(`{"a":1}`)}, "Pay", 7, count{}, closeTally{},
	}
	seen := make(map[string]int)
	for i, cmd := range distinct {
		sum := digestOf(t, cmd)
		other, twice := seen[sum]
		require.False(t, twice, "%d and %d: %#v and %#v", other, i, cmd, distinct[other])
		seen[sum] = i
	}
	amsterdam := noon.In(time.FixedZone("", 3600))
	for _, same := range [][2]any{
		{Pay{Due: noon}, Pay{Due: amsterdam}},
		{Pay{Amount: 1}, &Pay{Amount: 1}},
		{Pay{Skipped: "a"}, Pay{Skipped: "b"}},
		{Pay{Parts: map[string]int{}}, Pay{}},
		{Pay{Parts: map[string]int{"a": 1, "b": 2, "c": 3}}, Pay{Parts: map[string]int{"c": 3, "b": 2, "a": 1}}},
		{struct{ N int }{1}, struct{ N int }{1}},
	} {
		require.Equal(t, digestOf(t, same[0]), digestOf(t, same[1]))
	}
	now := time.Now()
	require.Equal(t, digestOf(t, Pay{Due: now}), digestOf(t, Pay{Due: now.Round(0)}))
}

func TestCommandDigest_Errors(t *testing.T) {
	type ring struct{ Next *ring }
	loop := &ring{}
	loop.Next = loop
	for want, cmd := range map[string]any{
		"nil is no command":                         nil,
		"refers to itself":                          loop,
		"F: it has a func(), which cannot be compa": struct{ F func() }{func() {}},
		"C: it has a chan int":                      struct{ C chan int }{make(chan int)},
	} {
		_, err := aggregate.CommandDigest(cmd)
		require.ErrorContains(t, err, want)
	}
	_, err := aggregate.CommandDigest((*count)(nil))
	require.EqualError(t, err, "nil is no command")
	_, err = newRepository(t, newStore(t), nil).Execute(eventstore.WithCommandID(t.Context(), "k"), "1", nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

// Parts of commands that are hard to tell apart, or to take as the same.
type (
	method   interface{ isMethod() }
	card     struct{ Number string }
	account  struct{ Number string }
	from     struct{ ID string }
	to       struct{ ID string }
	secret   string
	labels   map[string]struct{}      // its JSON is in no order
	decimal  struct{ value *big.Int } // 0 has two forms
	identity struct{ text string }
	pay      struct {
		Amount int
		By     method
	}
	transfer struct {
		from
		to
	}
	tagged struct {
		identity
		Amount int
	}
	stamped struct {
		time.Time
		Note string
	}
	change struct {
		Password secret
		Labels   labels
		Sum      decimal
		Big      big.Int
		At       stamped
		Raw      json.RawMessage
		Any      any
		When     time.Time
		Bytes    []byte
	}
)

func (card) isMethod()    {}
func (account) isMethod() {}

func (secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

func (l labels) MarshalJSON() ([]byte, error) {
	var list []string
	for k := range l {
		list = append(list, k)
	}
	return json.Marshal(list)
}

func (d decimal) MarshalJSON() ([]byte, error) {
	if d.value == nil {
		return []byte("0"), nil
	}
	return d.value.MarshalJSON()
}

func (i identity) MarshalText() ([]byte, error) { return []byte(i.text), nil }

func TestCommandDigest_HardToTellApart(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, other := range [][2]any{
		{pay{1, card{"x"}}, pay{1, account{"x"}}},
		{change{Any: []any{card{"5"}}}, change{Any: []any{account{"5"}}}},
		{transfer{from: from{"a"}}, transfer{to: to{"a"}}},
		{tagged{identity{"a"}, 1}, tagged{identity{"a"}, 2}},
		{stamped{noon, "a"}, stamped{noon, "b"}},
		{change{Password: "a"}, change{Password: "b"}},
		{change{At: stamped{noon, ""}}, change{At: stamped{noon.Add(1), ""}}},
		{change{Any: "1"}, change{Any: 1}},
		{change{Raw: json.RawMessage("1")}, change{Raw: json.RawMessage("2")}},
	} {
		require.NotEqual(t, digestOf(t, other[0]), digestOf(t, other[1]), "%+v", other)
	}
	for _, same := range [][2]any{
		{change{Sum: decimal{}}, change{Sum: decimal{value: new(big.Int)}}},
		{change{Big: *new(big.Int).Sub(big.NewInt(1), big.NewInt(1))}, change{}},
		{change{When: time.Time{}.In(time.FixedZone("", 3600))}, change{}},
		{change{At: stamped{noon, "a"}}, change{At: stamped{noon.In(time.FixedZone("", 3600)), "a"}}},
		{change{Raw: json.RawMessage(`{"a": 1}`)}, change{Raw: json.RawMessage(`{"a":1}`)}},
		{change{Raw: json.RawMessage("null"), Bytes: []byte{}}, change{}},
		{change{Any: 3_000_000}, change{Any: 3e6}},
		{change{Any: json.Number("9007199254740993")}, change{Any: int64(9007199254740993)}},
		{change{Any: map[int]int{1: 2}}, change{Any: map[string]any{"1": json.Number("2")}}},
		{change{Any: json.Number("1e3")}, change{Any: 1000}},
	} {
		require.Equal(t, digestOf(t, same[0]), digestOf(t, same[1]), "%+v", same)
	}
	for range 30 {
		require.Equal(t, digestOf(t, change{Labels: labels{"a": {}, "b": {}, "c": {}}}), digestOf(t, change{Labels: labels{"c": {}, "b": {}, "a": {}}}))
	}
}
