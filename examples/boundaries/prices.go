package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/fold"
)

type ProductDefined struct {
	Product string `json:"product"`
	Price   int    `json:"price"`
}

type PriceChanged struct {
	Product string `json:"product"`
	Price   int    `json:"price"`
}

type ProductOrdered struct {
	Product string `json:"product"`
	Price   int    `json:"price"`
}

// ProductsOrdered has the tag of each product.
type ProductsOrdered struct {
	Items []OrderItem `json:"items"`
}

type OrderItem struct {
	Product string `json:"product"`
	Price   int    `json:"price"` // as shown to the customer
}

func registerPrices(b *codec.Builder) {
	codec.Register[ProductDefined](b, "product.defined", 1,
		codec.Tags(func(e ProductDefined) []string { return []string{"product:" + e.Product} }))
	codec.Register[PriceChanged](b, "product.price-changed", 1,
		codec.Tags(func(e PriceChanged) []string { return []string{"product:" + e.Product} }))
	codec.Register[ProductOrdered](b, "product.ordered", 1,
		codec.Tags(func(e ProductOrdered) []string { return []string{"product:" + e.Product} }))
	codec.Register[ProductsOrdered](b, "product.several-ordered", 1, codec.Tags(func(e ProductsOrdered) []string {
		var tags []string
		for _, item := range e.Items {
			tags = append(tags, "product:"+item.Product)
		}
		return tags
	}))
}

// grace is the time for which a price stays valid after it was changed.
const grace = 10 * time.Minute

// prices are the prices of a product, the current one last.
type prices []struct {
	Price int
	Since time.Time
}

func (p prices) and(price int, since time.Time) prices {
	return append(slices.Clip(p), prices{{price, since}}...)
}

// good reports whether a price is valid at a time.
func (p prices) good(price int, now time.Time) bool {
	for _, was := range slices.Backward(p) {
		if was.Price == price {
			return true
		}
		if now.Sub(was.Since) > grace {
			return false // all earlier prices have expired
		}
	}
	return false
}

func pricesOf(product string) aggregate.Model[prices] {
	return aggregate.NewModel(aggregate.Tagged("product:"+product),
		fold.OnEvent(func(p prices, e fold.Event[ProductDefined]) prices { return p.and(e.Data.Price, e.Time) }),
		fold.OnEvent(func(p prices, e fold.Event[PriceChanged]) prices { return p.and(e.Data.Price, e.Time) }))
}

const (
	ErrProductDefined = rule("the product is defined already")
	ErrNoProduct      = rule("the product is not defined")
	ErrPrice          = rule("the price is not valid, or no longer")
)

func defineProduct(product string, price int) aggregate.Decision {
	var had prices
	return aggregate.Decision{
		Models: aggregate.Models{pricesOf(product).Into(&had)},
		Decide: func() ([]any, error) {
			if len(had) > 0 {
				return nil, ErrProductDefined
			}
			return []any{ProductDefined{Product: product, Price: price}}, nil
		},
	}
}

func changePrice(product string, price int) aggregate.Decision {
	var had prices
	return aggregate.Decision{
		Models: aggregate.Models{pricesOf(product).Into(&had)},
		Decide: func() ([]any, error) {
			switch {
			case len(had) == 0:
				return nil, ErrNoProduct
			case had[len(had)-1].Price == price:
				return nil, nil // nothing to do
			}
			return []any{PriceChanged{Product: product, Price: price}}, nil
		},
	}
}

func orderProduct(product string, price int, now time.Time) aggregate.Decision {
	var had prices
	return aggregate.Decision{
		Models: aggregate.Models{pricesOf(product).Into(&had)},
		Decide: func() ([]any, error) {
			if !had.good(price, now) {
				return nil, ErrPrice
			}
			return []any{ProductOrdered{Product: product, Price: price}}, nil
		},
	}
}

// orderProducts orders one or more items. The decision has a model for each.
func orderProducts(items []OrderItem, now time.Time) aggregate.Decision {
	had := make([]prices, len(items))
	var models aggregate.Models
	for i, item := range items {
		models = append(models, pricesOf(item.Product).Into(&had[i]))
	}
	return aggregate.Decision{
		Models: models,
		Decide: func() ([]any, error) {
			for i, item := range items {
				if !had[i].good(item.Price, now) {
					return nil, fmt.Errorf("product %q: %w", item.Product, ErrPrice)
				}
			}
			return []any{ProductsOrdered{Items: items}}, nil
		},
	}
}
