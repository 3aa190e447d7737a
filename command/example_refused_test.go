package command_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type SendLetter struct{ To string }

// A refusal is an answer; a fault may pass, so the command is sent again.
func ExampleDispatcher_Send() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher()
	reachable := false
	err := command.Handle(d, func(_ context.Context, cmd SendLetter) (string, eventstore.Receipt, error) {
		switch {
		case cmd.To == "":
			return "", eventstore.Receipt{}, command.Refuse(errors.New("the letter has no address"))
		case !reachable:
			reachable = true
			return "", eventstore.Receipt{}, errors.New("the post office is closed")
		}
		return "sent to " + cmd.To, eventstore.Receipt{}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, cmd := range []SendLetter{{""}, {"Ann"}} {
		for {
			reply, err := d.Send(context.Background(), cmd)
			if err != nil && !reply.Refused {
				fmt.Println("again, since", err)
				continue
			}
			fmt.Println(reply.Result, "refused:", reply.Refused, err)
			break
		}
	}
	// Output:
	//  refused: true the letter has no address
	// again, since the post office is closed
	// sent to Ann refused: false <nil>
}

// A function that makes one commit under the command id says so: its commands can be sent again.
func ExampleOnce() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher()
	err := command.Handle(d, func(ctx context.Context, cmd SendLetter) (string, eventstore.Receipt, error) {
		receipt, err := store.Append(ctx, eventstore.Commit{
			Key:    eventstore.MetadataFrom(ctx).CommandID(),
			Events: []eventstore.NewEvent{{Type: "letter.ordered", Data: []byte(cmd.To)}},
		})
		return cmd.To, receipt, err
	}, command.Once())
	fmt.Println(err, d.CarriesOutOnce(SendLetter{}))

	ctx := eventstore.WithCommandID(context.Background(), "order-1")
	for range 2 {
		reply, err := d.Send(ctx, SendLetter{"Ann"})
		fmt.Println(reply.Receipt.First, reply.Receipt.Repeated, err)
	}
	// Output:
	// <nil> true
	// 1 false <nil>
	// 1 true <nil>
}

// The error of a batch says whether its command was refused.
func ExampleDispatchAll_refused() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher(command.Validate())
	_, _, err := command.DispatchAll(context.Background(), d, "no command")
	var one *aggregate.BatchError
	if errors.As(err, &one) {
		fmt.Println("command", one.Index, "refused:", one.Refused)
	}
	// Output:
	// command 0 refused: false
}
