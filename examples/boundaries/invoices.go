package main

import (
	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

type InvoiceCreated struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

func registerInvoices(b *codec.Builder) {
	codec.Register[InvoiceCreated](b, "invoice.created", 1)
}

// nextInvoice is the model of the next number. It loads only the last invoice, and guards
// against any new one.
func nextInvoice() aggregate.Model[int] {
	return aggregate.Model[int]{
		Query:   eventstore.All(),
		Initial: func() int { return 1 },
		Evolve:  []fold.Handler[int]{fold.On(func(_ int, e InvoiceCreated) int { return e.Number + 1 })},
		Last:    true,
	}
}

func createInvoice(text string) aggregate.Decision {
	var next int
	return aggregate.Decision{
		Models: aggregate.Models{nextInvoice().Into(&next)},
		Decide: func() ([]any, error) {
			return []any{InvoiceCreated{Number: next, Text: text}}, nil
		},
	}
}
