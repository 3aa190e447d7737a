package main

import (
	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/fold"
)

// OrderPlaced has the token of the form that was sent.
type OrderPlaced struct {
	Order string `json:"order"`
	Form  string `json:"form"`
}

func registerOrders(b *codec.Builder) {
	codec.Register[OrderPlaced](b, "order.placed", 1,
		codec.Tags(func(e OrderPlaced) []string { return []string{"order:" + e.Order, "form:" + e.Form} }))
}

func formWasSent(form string) aggregate.Model[bool] {
	return aggregate.NewModel(aggregate.Tagged("form:"+form),
		fold.On(func(bool, OrderPlaced) bool { return true }))
}

const ErrOrderPlaced = rule("the order was placed already")

// placeOrder takes the token that the client made for its form, because the server makes
// the order's id. With a command id (eventstore.WithCommandID) the client would get the
// first answer again instead of a refusal.
func placeOrder(order, form string) aggregate.Decision {
	var sent bool
	return aggregate.Decision{
		Models: aggregate.Models{formWasSent(form).Into(&sent)},
		Decide: func() ([]any, error) {
			if sent {
				return nil, ErrOrderPlaced
			}
			return []any{OrderPlaced{Order: order, Form: form}}, nil
		},
	}
}
