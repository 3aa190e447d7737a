package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The program of docs/how-to/close-the-books.md.

type (
	TillEvent    interface{ isTillEvent() }
	MonthOpened  struct{ Balance int }
	CashReceived struct{ Amount int }
	MonthClosed  struct{ Balance int }
)

func (MonthOpened) isTillEvent()  {}
func (CashReceived) isTillEvent() {}
func (MonthClosed) isTillEvent()  {}

type ReceiveCash struct{ Amount int }

type Till struct {
	Balance int
	Closed  bool
}

var ErrMonthClosed = errors.New("the month is closed")

var tills = aggregate.Decider[Till, ReceiveCash, TillEvent]{
	Category: "till",
	Decide: func(till Till, cmd ReceiveCash) ([]TillEvent, error) {
		if till.Closed {
			return nil, ErrMonthClosed
		}
		return []TillEvent{CashReceived(cmd)}, nil
	},
	Evolve: func(till Till, event TillEvent) Till {
		switch e := event.(type) {
		case MonthOpened:
			till.Balance = e.Balance
		case CashReceived:
			till.Balance += e.Amount
		case MonthClosed:
			till.Closed = true
		}
		return till
	},
}

// closeMonth ends the stream of a month and begins that of the next, in one commit.
func closeMonth(month, next string) aggregate.Decision {
	var till Till
	return aggregate.Decision{
		Models: aggregate.Models{tills.Model(month).Into(&till)},
		Decide: func() ([]any, error) {
			if till.Closed {
				return nil, ErrMonthClosed
			}
			return []any{
				aggregate.In(tills.Stream(month), MonthClosed{Balance: till.Balance}),
				aggregate.In(tills.Stream(next), MonthOpened{Balance: till.Balance}),
			}, nil
		},
		Expect: []eventstore.Expect{{Stream: tills.Stream(next), At: eventstore.NoStream}},
	}
}

func Example_closeTheBooks() {
	ctx, store := context.Background(), memstore.New(nil)
	b := codec.NewBuilder()
	codec.Register[MonthOpened](b, "till.month-opened", 1)
	codec.Register[CashReceived](b, "till.cash-received", 1)
	codec.Register[MonthClosed](b, "till.month-closed", 1)
	registry := must(b.Build())
	months := must(aggregate.NewRepository(store, registry, tills, nil))
	decisions := must(aggregate.NewDecisions(store, registry, nil))

	for _, amount := range []int{40, 2} {
		must(months.Execute(ctx, "2026-01", ReceiveCash{Amount: amount}))
	}
	must(decisions.Execute(ctx, closeMonth("2026-01", "2026-02")))
	must(months.Execute(ctx, "2026-02", ReceiveCash{Amount: 8}))

	_, err := months.Execute(ctx, "2026-01", ReceiveCash{Amount: 1})
	fmt.Println("January:", err)
	till, version, err := months.Load(ctx, "2026-02")
	fmt.Println("February:", till.Balance, "after", version, "events,", err)
	_, err = decisions.Execute(ctx, closeMonth("2026-01", "2026-02"))
	fmt.Println("again:", err)
	// Output:
	// January: the month is closed
	// February: 50 after 2 events, <nil>
	// again: the month is closed
}

// must returns the value, and panics if there is an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
