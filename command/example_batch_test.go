package command_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Accounts hold money. A transfer is two commands, one for each account.

type AccountCommand interface{ AccountID() string }

type Deposit struct {
	Account string
	Amount  int
}

type Withdraw struct {
	Account string
	Amount  int
}

func (c Deposit) AccountID() string  { return c.Account }
func (c Withdraw) AccountID() string { return c.Account }

type Booked struct {
	Amount int `json:"amount"`
}

var ErrNotEnough = errors.New("there is not enough money")

var accounts = aggregate.Decider[int, AccountCommand, Booked]{
	Category: "account",
	Decide: func(balance int, cmd AccountCommand) ([]Booked, error) {
		switch c := cmd.(type) {
		case Deposit:
			return []Booked{{Amount: c.Amount}}, nil
		case Withdraw:
			if c.Amount > balance {
				return nil, ErrNotEnough
			}
			return []Booked{{Amount: -c.Amount}}, nil
		default:
			return nil, fmt.Errorf("an account does not know %T", cmd)
		}
	},
	Evolve: func(balance int, e Booked) int { return balance + e.Amount },
}

func newAccounts(store eventstore.Store, opts *aggregate.Options) *aggregate.Repository[int, AccountCommand, Booked] {
	b := codec.NewBuilder()
	codec.Register[Booked](b, "account.booked", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	repository, err := aggregate.NewRepository(store, registry, accounts, opts)
	if err != nil {
		log.Fatal(err)
	}
	return repository
}

// transfer moves money from one account to another: both are booked, or neither.
func transfer(ctx context.Context, d *command.Dispatcher, from, to string, amount int) error {
	_, _, err := command.DispatchAll(ctx, d,
		Withdraw{Account: from, Amount: amount},
		Deposit{Account: to, Amount: amount})
	var refused *aggregate.BatchError
	if errors.As(err, &refused) && refused.Index == 0 {
		return fmt.Errorf("nothing was moved from %s: %w", from, refused.Err)
	}
	return err
}

func ExampleDispatchAll() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher()
	if err := command.Route(d, newAccounts(store, nil), AccountCommand.AccountID); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	// Two commands for one account see each other's events.
	balances, receipt, err := command.DispatchAll(ctx, d,
		Deposit{Account: "ann", Amount: 50},
		Withdraw{Account: "ann", Amount: 20},
		Deposit{Account: "bob", Amount: 20})
	fmt.Println(balances, receipt.First, receipt.Last, err)

	fmt.Println(transfer(ctx, d, "ann", "bob", 10))
	fmt.Println(transfer(ctx, d, "ann", "bob", 1000))

	// With a command id, the batch is carried out once.
	again := eventstore.WithCommandID(ctx, "transfer-1")
	for range 2 {
		fmt.Println(transfer(again, d, "bob", "ann", 1))
	}
	balance, _, err := command.Dispatch[int](ctx, d, Deposit{Account: "ann", Amount: 0})
	fmt.Println(balance, err)
	// Output:
	// [30 30 20] 1 3 <nil>
	// <nil>
	// nothing was moved from ann: there is not enough money
	// <nil>
	// <nil>
	// 21 <nil>
}

// After a conflict a command is decided again. A policy limits the attempts, for all
// commands of a route or for one type.
func ExampleMaxAttempts() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher()
	err := command.Route(d, newAccounts(store, nil), AccountCommand.AccountID,
		command.MaxAttempts(20), command.MaxAttemptsOf[Withdraw](3))
	if err != nil {
		log.Fatal(err)
	}

	// Dispatch calls a function once, because it may have side effects. This one only
	// reads and appends, so it allows more attempts.
	type CloseAll struct{}
	calls := 0
	err = command.Handle(d, func(context.Context, CloseAll) (string, eventstore.Receipt, error) {
		if calls++; calls < 3 {
			return "", eventstore.Receipt{}, eventstore.ErrConflict // another program was faster
		}
		return "closed", eventstore.Receipt{}, nil
	}, command.MaxAttempts(5))
	if err != nil {
		log.Fatal(err)
	}
	answer, _, err := command.Dispatch[string](context.Background(), d, CloseAll{})
	fmt.Println(answer, calls, err)
	// Output:
	// closed 3 <nil>
}

func ExampleAuthorize() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher(command.Validate(), command.Authorize(ownAccountOnly))
	if err := command.Route(d, newAccounts(store, nil), AccountCommand.AccountID); err != nil {
		log.Fatal(err)
	}

	ctx := eventstore.WithActor(context.Background(), "ann")
	_, _, err := command.Dispatch[int](ctx, d, Deposit{Account: "ann", Amount: 5})
	fmt.Println(err)
	_, _, err = command.Dispatch[int](ctx, d, Deposit{Account: "bob", Amount: 5})
	fmt.Println(err)
	fmt.Println(errors.Is(err, command.ErrForbidden))
	// Output:
	// <nil>
	// forbidden: command_test.Deposit by "ann": the account is bob's
	// true
}

func ownAccountOnly(_ context.Context, actor string, cmd any) error {
	if c, ok := cmd.(AccountCommand); ok && c.AccountID() != actor {
		return fmt.Errorf("the account is %s's", c.AccountID())
	}
	return nil
}
