package main

import (
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The tests of docs/how-to/test-a-decider.md.

func emptyCart(t *testing.T) *aggtest.Scenario[Cart, Command, Event] {
	t.Helper()
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return aggtest.New(t, registry, decider)
}

func TestAddItem(t *testing.T) {
	emptyCart(t).
		Given(ItemAdded{SKU: "mug", Quantity: 2}).
		When(AddItem{SKU: "mug", Quantity: 3}).
		Then(ItemAdded{SKU: "mug", Quantity: 3}).
		ThenState(Cart{Pieces: map[string]int{"mug": 5}})
}

func TestAddItem_TooMany(t *testing.T) {
	emptyCart(t).
		Given(ItemAdded{SKU: "mug", Quantity: 2}).
		When(AddItem{SKU: "mug", Quantity: 4}).
		ThenRejected(ErrTooMany)
}

func TestCheckOut_NothingChangesAfterIt(t *testing.T) {
	bought := emptyCart(t).Given(ItemAdded{SKU: "mug", Quantity: 2}, CheckedOut{})
	for _, cmd := range []Command{
		AddItem{SKU: "mug", Quantity: 1},
		RemoveItem{SKU: "mug"},
		CheckOut{},
	} {
		bought.When(cmd).ThenRejected(ErrCheckedOut)
	}
}

func TestRegistry_KeepsItsNames(t *testing.T) {
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := registry.Encode(ItemAdded{SKU: "mug", Quantity: 2})
	if err != nil {
		t.Fatal(err)
	}
	if encoded.Type != "cart.item-added" || encoded.SchemaVersion != 1 {
		t.Errorf("stored as %q version %d", encoded.Type, encoded.SchemaVersion)
	}
	if got, want := string(encoded.Data), `{"sku":"mug","quantity":2}`; got != want {
		t.Errorf("stored as %s, want %s", got, want)
	}
}

func TestCarts_OneCommandIDIsCarriedOutOnce(t *testing.T) {
	store := memstore.New(nil)
	defer store.Close()
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	carts, err := aggregate.NewRepository(store, registry, decider, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := eventstore.WithCommandID(t.Context(), "add-1")
	for range 2 {
		if _, err := carts.Execute(ctx, "7", AddItem{Cart: "7", SKU: "mug", Quantity: 2}); err != nil {
			t.Fatal(err)
		}
	}
	cart, version, err := carts.Load(ctx, "7")
	if err != nil || version != 1 || cart.Pieces["mug"] != 2 {
		t.Errorf("got %v at version %d, error %v", cart, version, err)
	}
}
