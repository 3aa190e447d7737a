package command_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// span stands for the span of a tracing library. It is in the context, and knows its parent
// span.
type span struct {
	name  string
	depth int
}

type spanKey struct{}

func start(ctx context.Context, name string) (context.Context, span) {
	s := span{name: name}
	if parent, ok := ctx.Value(spanKey{}).(span); ok {
		s.depth = parent.depth + 1
	}
	fmt.Printf("%s%s {\n", strings.Repeat("  ", s.depth), name)
	return context.WithValue(ctx, spanKey{}, s), s
}

func (s span) end(outcome string, err error) {
	if err != nil {
		outcome = err.Error()
	}
	fmt.Printf("%s} %s\n", strings.Repeat("  ", s.depth), outcome)
}

// tracing are the hooks of a tracing module: two around commands, two around what
// is done with the store.
func tracing() (command.Hooks, aggregate.Hooks) {
	commands := command.Hooks{
		Dispatch: func(ctx context.Context, cmd any) (context.Context, func(command.Reply, error)) {
			ctx, s := start(ctx, fmt.Sprintf("dispatch %T", cmd))
			return ctx, func(_ command.Reply, err error) { s.end("done", err) }
		},
		Batch: func(ctx context.Context, cmds []any) (context.Context, func(command.Reply, error)) {
			ctx, s := start(ctx, fmt.Sprintf("batch of %d", len(cmds)))
			return ctx, func(reply command.Reply, err error) {
				s.end(fmt.Sprint("through position ", reply.Receipt.Last), err)
			}
		},
	}
	stores := aggregate.Hooks{
		Load: func(ctx context.Context, stream eventstore.StreamID) (context.Context, func(aggregate.Loaded, error)) {
			ctx, s := start(ctx, fmt.Sprint("load ", stream))
			return ctx, func(l aggregate.Loaded, err error) {
				s.end(fmt.Sprintf("version %d, %d events", l.Version, l.Events), err)
			}
		},
		Append: func(ctx context.Context, commit eventstore.Commit) (context.Context, func(eventstore.Receipt, error)) {
			ctx, s := start(ctx, fmt.Sprintf("append %d events", len(commit.Events)))
			return ctx, func(r eventstore.Receipt, err error) { s.end(fmt.Sprint("at position ", r.First), err) }
		},
	}
	return commands, stores
}

// The commands of a batch overlap: each surrounds those after it. The operations of the
// store are for all of them.
func ExampleDispatcher_Observe() {
	store := memstore.New(nil)
	defer store.Close()
	commands, stores := tracing()
	d := command.NewDispatcher()
	d.Observe(commands)
	err := command.Route(d, newAccounts(store, &aggregate.Options{Hooks: &stores}), AccountCommand.AccountID)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	_, _, _ = command.Dispatch[int](ctx, d, Deposit{Account: "ann", Amount: 50})
	_, _, _ = command.Dispatch[int](ctx, d, Withdraw{Account: "ann", Amount: 80})
	_ = transfer(ctx, d, "ann", "bob", 50)
	// Output:
	// dispatch command_test.Deposit {
	//   load account-ann {
	//   } version 0, 0 events
	//   append 1 events {
	//   } at position 1
	// } done
	// dispatch command_test.Withdraw {
	//   load account-ann {
	//   } version 1, 1 events
	// } there is not enough money
	// batch of 2 {
	//   dispatch command_test.Withdraw {
	//   dispatch command_test.Deposit {
	//   load account-ann {
	//   } version 1, 1 events
	//   load account-bob {
	//   } version 0, 0 events
	//   append 2 events {
	//   } at position 2
	//   } done
	//   } done
	// } through position 3
}
