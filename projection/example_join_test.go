package projection_test

import (
	"context"
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
		Order, Customer string
		SKUs            []string
		Cents           int64
	}
)

// Orders is a view over three aggregates: orders with the names of their products,
// under their customers.
type Orders struct {
	*projection.Projection
	names    *projection.Table[string, string] // of products, by SKU
	Accounts *projection.Table[string, Account]
	ByMail   *projection.Index[string, Account, string]
	ByCents  *projection.Index[string, Account, int64]
	Lines    *projection.Table[LineKey, OrderLine]
	bySKU    *projection.Index[LineKey, OrderLine, string]
}

// Account is a customer with what the orders come to.
type Account struct {
	Mail  string
	Cents int64
}

// LineKey is a customer, and the order and the product of a line: "7/23843".
type LineKey = projection.Pair[string, string]

// OrderLine is a line of an order, with the name of the product.
type OrderLine struct {
	Order, SKU, Product string
}

func NewOrders() Orders {
	p := projection.New("orders", 1)
	o := Orders{
		Projection: p,
		names:      projection.NewTable[string, string](p, "products"),
		Accounts:   projection.NewTable[string, Account](p, "accounts"),
		Lines:      projection.NewTable[LineKey, OrderLine](p, "lines"),
	}
	o.ByMail = projection.NewUnique(o.Accounts, "mail", func(a Account) (string, bool) { return a.Mail, true })
	o.ByCents = projection.NewIndex(o.Accounts, "cents", func(a Account) (int64, bool) { return a.Cents, a.Cents > 0 })
	o.bySKU = projection.NewIndex(o.Lines, "sku", func(l OrderLine) (string, bool) { return l.SKU, true })
	projection.On(p, o.productNamed)
	projection.On(p, o.customerSignedUp)
	projection.On(p, o.orderPlaced)
	return o
}

// productNamed renames the product in every order that has it, found by an index.
func (o Orders) productNamed(tx projection.Tx, e fold.Event[ProductNamed]) error {
	for line, err := range o.bySKU.In(tx).Scan(projection.Equal(e.Data.SKU)) {
		if err != nil {
			return err
		}
		line.Value.Product = e.Data.Name
		if err := o.Lines.In(tx).Put(line.Key, line.Value); err != nil {
			return err
		}
	}
	return o.names.In(tx).Put(e.Data.SKU, e.Data.Name)
}

func (o Orders) customerSignedUp(tx projection.Tx, e fold.Event[CustomerSignedUp]) error {
	return o.Accounts.In(tx).Put(e.Data.Customer, Account{Mail: e.Data.Mail})
}

// orderPlaced adds a line for each product, with its name.
func (o Orders) orderPlaced(tx projection.Tx, e fold.Event[OrderPlaced]) error {
	names, err := o.names.In(tx).GetMany(e.Data.SKUs...)
	if err != nil {
		return err
	}
	for _, sku := range e.Data.SKUs {
		key := projection.PairOf(e.Data.Customer, e.Data.Order+"/"+sku)
		line := OrderLine{Order: e.Data.Order, SKU: sku, Product: names[sku]}
		if err := o.Lines.In(tx).Put(key, line); err != nil {
			return err
		}
	}
	return o.Accounts.In(tx).Update(e.Data.Customer, func(a Account) Account {
		a.Cents += e.Data.Cents
		return a
	})
}

// orderEvents returns the registry of the events of the three aggregates.
func orderEvents() *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[ProductNamed](b, "product.named", 1)
	codec.Register[CustomerSignedUp](b, "customer.signed-up", 1)
	codec.Register[OrderPlaced](b, "order.placed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	return registry
}

// How are events of several aggregates joined? The handlers of one projection take all
// of them, and read each other's rows.
func Example_join() {
	ctx, store, registry, orders := context.Background(), memstore.New(nil), orderEvents(), NewOrders()
	defer store.Close()
	if err := newViews(store, registry).Attach(ctx, orders.Projection); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "product-1", ProductNamed{"1", "lamp"})
	put(ctx, store, registry, "product-2", ProductNamed{"2", "sofa"})
	put(ctx, store, registry, "customer-ann", CustomerSignedUp{"ann", "ann@example.org"})
	put(ctx, store, registry, "customer-bob", CustomerSignedUp{"bob", "bob@example.org"})
	put(ctx, store, registry, "order-7", OrderPlaced{"7", "ann", []string{"1", "2"}, 51_100})
	put(ctx, store, registry, "order-8", OrderPlaced{"8", "bob", []string{"1"}, 1_200})
	put(ctx, store, registry, "product-1", ProductNamed{"1", "lantern"})

	account, found, err := orders.ByMail.Get(ctx, store, "ann@example.org")
	fmt.Println(account.Key, account.Value.Cents, "at", account.At, found, err)
	for line, err := range orders.Lines.Scan(ctx, store, projection.FirstEqual[string](account.Key)) {
		fmt.Println(line.Value, err)
	}
	for row, err := range orders.ByCents.Scan(ctx, store, projection.LessThan[int64](10_000).Backward()) {
		fmt.Println(row.Key, row.Value.Cents, err)
	}
	// Output:
	// ann 51100 at 7 true <nil>
	// {7 1 lantern} <nil>
	// {7 2 sofa} <nil>
	// bob 1200 <nil>
}
