package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The program of docs/how-to/record-a-refusal.md.

type (
	CardEvent       interface{ isCardEvent() }
	PINAccepted     struct{}
	WrongPINEntered struct{ Try int }
	CardBlocked     struct{}
)

func (PINAccepted) isCardEvent()     {}
func (WrongPINEntered) isCardEvent() {}
func (CardBlocked) isCardEvent()     {}

type EnterPIN struct{ PIN string }

type Card struct {
	Wrong   int // in a row
	Blocked bool
}

var ErrBlocked = errors.New("the card is blocked")

var cards = aggregate.Decider[Card, EnterPIN, CardEvent]{
	Category: "card",
	Decide: func(card Card, cmd EnterPIN) ([]CardEvent, error) {
		switch {
		case card.Blocked:
			return nil, ErrBlocked
		case cmd.PIN == "1234":
			return []CardEvent{PINAccepted{}}, nil
		case card.Wrong < 2:
			return []CardEvent{WrongPINEntered{Try: card.Wrong + 1}}, nil
		default:
			return []CardEvent{WrongPINEntered{Try: card.Wrong + 1}, CardBlocked{}}, nil
		}
	},
	Evolve: func(card Card, event CardEvent) Card {
		switch event.(type) {
		case PINAccepted:
			card.Wrong = 0
		case WrongPINEntered:
			card.Wrong++
		case CardBlocked:
			card.Blocked = true
		}
		return card
	},
}

func newCardRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[PINAccepted](b, "card.pin-accepted", 1)
	codec.Register[WrongPINEntered](b, "card.wrong-pin-entered", 1)
	codec.Register[CardBlocked](b, "card.blocked", 1)
	return b.Build()
}

// answer returns the text that the terminal shows after a PIN.
func answer(events []CardEvent, err error) string {
	switch {
	case errors.Is(err, ErrBlocked):
		return ErrBlocked.Error()
	case err != nil:
		return "try again later" // the cause is for the log
	}
	for _, event := range events {
		if wrong, ok := event.(WrongPINEntered); ok {
			return fmt.Sprintf("wrong, %d left", 3-wrong.Try)
		}
	}
	return "accepted"
}

func Example_recordARefusal() {
	store := memstore.New(nil)
	repository := must(aggregate.NewRepository(store, must(newCardRegistry()), cards, nil))
	enter := func(id, pin string) {
		ctx := eventstore.WithCommandID(context.Background(), id)
		result, err := repository.Execute(ctx, "7", EnterPIN{PIN: pin})
		fmt.Printf("%s: %s\n", id, answer(result.Events, err))
	}
	enter("try-1", "1111")
	enter("try-1", "1111") // the same try, sent again
	enter("try-2", "2222")
	enter("try-3", "3333")
	enter("try-4", "1234")
	// Output:
	// try-1: wrong, 2 left
	// try-1: wrong, 2 left
	// try-2: wrong, 1 left
	// try-3: wrong, 0 left
	// try-4: the card is blocked
}

func TestCard(t *testing.T) {
	card := aggtest.New(t, must(newCardRegistry()), cards)
	card.When(EnterPIN{PIN: "1111"}).Then(WrongPINEntered{Try: 1})
	card.Given(WrongPINEntered{Try: 1}, WrongPINEntered{Try: 2}).
		When(EnterPIN{PIN: "3333"}).
		Then(WrongPINEntered{Try: 3}, CardBlocked{}).
		ThenState(Card{Wrong: 3, Blocked: true})
	card.Given(WrongPINEntered{Try: 1}, WrongPINEntered{Try: 2}, PINAccepted{}).
		When(EnterPIN{PIN: "3333"}).
		Then(WrongPINEntered{Try: 1})
}
