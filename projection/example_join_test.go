package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Three aggregates: products, customers, orders.
type (
	ProductNamed struct {
		SKU, Name string
	}
	CustomerSignedUp struct {
		Customer, Mail string
	}
	OrderPlaced struct {
		Order, Customer, SKU string
		Cents                int64
	}
)

// OrderLine is a row of the joined view: what an order says, and what its
// product is called.
type OrderLine struct {
	Order, Product string
	Cents          int64
}

// Account is a customer with what the orders come to.
type Account struct {
	Mail  string
	Cents int64
}

// A view over three aggregates: orders with the names of products, under their
// customers. A product that gets another name is renamed in every order that has
// it, found by an index.
func Example_join() {
	p := projection.New("orders", 1)
	names := projection.NewTable[string, string](p, "products")
	accounts := projection.NewTable[string, Account](p, "accounts")
	byMail := projection.NewUnique(accounts, "mail", func(a Account) (string, bool) { return a.Mail, true })
	byCents := projection.NewIndex(accounts, "cents", func(a Account) (int64, bool) { return a.Cents, a.Cents > 0 })

	type key = projection.Pair[string, string] // customer, order
	type line struct {
		OrderLine
		SKU string
	}
	lines := projection.NewTable[key, line](p, "lines")
	bySKU := projection.NewIndex(lines, "sku", func(l line) (string, bool) { return l.SKU, true })

	projection.On(p, func(tx projection.Tx, e fold.Event[ProductNamed]) error {
		for row, err := range bySKU.In(tx).Scan(projection.Equal(e.Data.SKU)) {
			if err != nil {
				return err
			}
			row.Value.Product = e.Data.Name
			if err := lines.In(tx).Put(row.Key, row.Value); err != nil {
				return err
			}
		}
		return names.In(tx).Put(e.Data.SKU, e.Data.Name)
	})
	projection.On(p, func(tx projection.Tx, e fold.Event[CustomerSignedUp]) error {
		return accounts.In(tx).Put(e.Data.Customer, Account{Mail: e.Data.Mail})
	})
	projection.On(p, func(tx projection.Tx, e fold.Event[OrderPlaced]) error {
		name, _, err := names.In(tx).Get(e.Data.SKU)
		if err != nil {
			return err
		}
		err = lines.In(tx).Put(projection.PairOf(e.Data.Customer, e.Data.Order), line{
			OrderLine: OrderLine{Order: e.Data.Order, Product: name, Cents: e.Data.Cents}, SKU: e.Data.SKU,
		})
		if err != nil {
			return err
		}
		return accounts.In(tx).Update(e.Data.Customer, func(a Account) Account {
			a.Cents += e.Data.Cents
			return a
		})
	})

	b := codec.NewBuilder()
	codec.Register[ProductNamed](b, "product.named", 1)
	codec.Register[CustomerSignedUp](b, "customer.signed-up", 1)
	codec.Register[OrderPlaced](b, "order.placed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	if err := newViews(store, registry).Attach(ctx, p); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "product-1", ProductNamed{"1", "lamp"})
	put(ctx, store, registry, "product-2", ProductNamed{"2", "sofa"})
	put(ctx, store, registry, "customer-ann", CustomerSignedUp{"ann", "ann@example.org"})
	put(ctx, store, registry, "customer-bob", CustomerSignedUp{"bob", "bob@example.org"})
	put(ctx, store, registry, "order-7", OrderPlaced{"7", "ann", "1", 1200})
	put(ctx, store, registry, "order-8", OrderPlaced{"8", "bob", "1", 1200})
	put(ctx, store, registry, "order-9", OrderPlaced{"9", "ann", "2", 49900})
	put(ctx, store, registry, "product-1", ProductNamed{"1", "lantern"})

	account, _, err := byMail.Get(ctx, store, "ann@example.org")
	fmt.Println(account.Key, account.Value.Cents, "at", account.At, err)
	for row, err := range lines.Scan(ctx, store, projection.FirstEqual[string](account.Key)) {
		fmt.Println(row.Value.OrderLine, err)
	}
	for row, err := range byCents.Scan(ctx, store, projection.LessThan[int64](10_000).Backward()) {
		fmt.Println(row.Key, row.Value.Cents, err)
	}

	// A second customer with the same address is a fault of the view.
	put(ctx, store, registry, "customer-eve", CustomerSignedUp{"eve", "ann@example.org"})
	_, _, err = accounts.Get(ctx, store, "eve")
	fmt.Println(err)

	// In a view that is run, it is an error of Run, which can be matched.
	_, err = projection.Build(ctx, store, registry, p, nil)
	var twice *projection.UniqueError
	fmt.Println(errors.As(err, &twice), twice.Other, twice.Key)
	// Output:
	// ann 51100 at 8 <nil>
	// {7 lantern 1200} <nil>
	// {9 sofa 49900} <nil>
	// bob 1200 <nil>
	// get rows of table "accounts" of projection "orders": view has a fault: view "orders@1.1" at position 8, on type "customer.signed-up" at position 9: not unique: projection "orders", table "accounts": rows "ann" and "eve" both have "ann@example.org" in index "mail"
	// true ann eve
}
