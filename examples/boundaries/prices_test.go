package main

import (
	"testing"
	"time"

	"github.com/yore-es/yore/aggregate/aggtest"
)

// minutes returns the time a number of minutes after day.
func minutes(n int) time.Time { return day.Add(time.Duration(n) * time.Minute) }

// changedAt returns a given in which p1 is defined at minute 80 and changed at this minute.
// Orders are placed at minute 100.
func changedAt(minute int) func(*aggtest.Log) *aggtest.Log {
	return func(log *aggtest.Log) *aggtest.Log {
		return log.At(minutes(80)).Given(ProductDefined{"p1", 123}).At(minutes(minute)).Given(PriceChanged{"p1", 134})
	}
}

func definedAt80(log *aggtest.Log) *aggtest.Log {
	return log.At(minutes(80)).Given(ProductDefined{"p1", 123})
}

func TestOrderProduct(t *testing.T) {
	check(t, []scenario{
		{
			name:    "at a wrong price",
			given:   given(ProductDefined{"p1", 123}),
			when:    orderProduct("p1", 100, day),
			refused: ErrPrice,
		},
		{
			name:  "at the price",
			given: given(ProductDefined{"p1", 123}),
			when:  orderProduct("p1", 123, day),
			then:  []any{ProductOrdered{"p1", 123}},
		},
		{
			name:    "that is not defined",
			when:    orderProduct("p1", 0, day),
			refused: ErrPrice,
		},
		{
			name:    "at a price that it never had",
			given:   definedAt80,
			when:    orderProduct("p1", 100, minutes(100)),
			refused: ErrPrice,
		},
		{
			name:  "at its first price, long ago",
			given: definedAt80,
			when:  orderProduct("p1", 123, minutes(100)),
			then:  []any{ProductOrdered{"p1", 123}},
		},
	})
}

func TestOrderProduct_AfterAChange(t *testing.T) {
	check(t, []scenario{
		{
			name:    "at a price that was changed too long ago",
			given:   changedAt(80),
			when:    orderProduct("p1", 123, minutes(100)),
			refused: ErrPrice,
		},
		{
			name:  "at a price that was changed just now",
			given: changedAt(91),
			when:  orderProduct("p1", 123, minutes(100)),
			then:  []any{ProductOrdered{"p1", 123}},
		},
		{
			name:  "at a price that was changed ten minutes ago",
			given: changedAt(90),
			when:  orderProduct("p1", 123, minutes(100)),
			then:  []any{ProductOrdered{"p1", 123}},
		},
		{
			name:  "at the new price",
			given: changedAt(91),
			when:  orderProduct("p1", 134, minutes(100)),
			then:  []any{ProductOrdered{"p1", 134}},
		},
	})
}

func TestOrderProducts(t *testing.T) {
	both := func(log *aggtest.Log) *aggtest.Log {
		return changedAt(91)(log).At(minutes(92)).Given(ProductDefined{"p2", 321})
	}
	check(t, []scenario{
		{
			name:    "at a price that it never had",
			given:   definedAt80,
			when:    orderProducts([]OrderItem{{"p1", 100}}, minutes(100)),
			refused: ErrPrice,
		},
		{
			name:    "at a price that was changed too long ago",
			given:   changedAt(80),
			when:    orderProducts([]OrderItem{{"p1", 123}}, minutes(100)),
			refused: ErrPrice,
		},
		{
			name:  "at its first price",
			given: definedAt80,
			when:  orderProducts([]OrderItem{{"p1", 123}}, minutes(100)),
			then:  []any{ProductsOrdered{[]OrderItem{{"p1", 123}}}},
		},
		{
			name:  "at a price that was changed just now",
			given: changedAt(91),
			when:  orderProducts([]OrderItem{{"p1", 123}}, minutes(100)),
			then:  []any{ProductsOrdered{[]OrderItem{{"p1", 123}}}},
		},
		{
			name:  "several at good prices",
			given: both,
			when:  orderProducts([]OrderItem{{"p1", 123}, {"p2", 321}}, minutes(100)),
			then:  []any{ProductsOrdered{[]OrderItem{{"p1", 123}, {"p2", 321}}}},
		},
		{
			name:    "several, one at a wrong price",
			given:   both,
			when:    orderProducts([]OrderItem{{"p1", 123}, {"p2", 123}}, minutes(100)),
			refused: ErrPrice,
		},
	})
}

func TestDefineAndChange(t *testing.T) {
	check(t, []scenario{
		{name: "define", when: defineProduct("p1", 1), then: []any{ProductDefined{"p1", 1}}},
		{name: "define twice", given: definedAt80, when: defineProduct("p1", 1), refused: ErrProductDefined},
		{name: "change", given: definedAt80, when: changePrice("p1", 1), then: []any{PriceChanged{"p1", 1}}},
		{name: "change to the same", given: definedAt80, when: changePrice("p1", 123)},
		{name: "change what is not", when: changePrice("p1", 1), refused: ErrNoProduct},
	})
}
