package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// A unique index has one row for each value. Which rows have the same one?
func ExampleUniqueError() {
	p := projection.New("customers", 1)
	mails := projection.NewTable[string, string](p, "mails")
	projection.NewUnique(mails, "mail", func(mail string) (string, bool) { return mail, mail != "" })
	projection.On(p, func(tx projection.Tx, e fold.Event[CustomerSignedUp]) error {
		return mails.In(tx).Put(e.Data.Customer, e.Data.Mail)
	})
	ctx, store, registry := context.Background(), memstore.New(nil), orderEvents()
	defer store.Close()
	put(ctx, store, registry, "customer-ann", CustomerSignedUp{"ann", "ann@example.org"})
	put(ctx, store, registry, "customer-eve", CustomerSignedUp{"eve", "ann@example.org"})

	err := newViews(store, registry).CatchUp(ctx, p)
	var twice *projection.UniqueError
	if errors.As(err, &twice) {
		fmt.Println("projection", twice.Projection, "table", twice.Table, "index", twice.Index)
		fmt.Println(twice.Key, "has the", twice.Index, twice.Value, "of", twice.Other)
	}
	fmt.Println(errors.Is(err, projection.ErrNotUnique))
	// Output:
	// projection customers table mails index mail
	// eve has the mail ann@example.org of ann
	// true
}

// A handler can ask a unique index first, and decide what a second row shall be.
func ExampleNewUnique() {
	p := projection.New("customers", 1)
	mails := projection.NewTable[string, string](p, "mails")
	byMail := projection.NewUnique(mails, "mail", func(mail string) (string, bool) { return mail, mail != "" })
	projection.On(p, func(tx projection.Tx, e fold.Event[CustomerSignedUp]) error {
		other, taken, err := byMail.In(tx).Get(e.Data.Mail)
		if err != nil {
			return err
		}
		if taken { // the address is that of the last customer who gave it
			if err := mails.In(tx).Put(other.Key, ""); err != nil {
				return err
			}
		}
		return mails.In(tx).Put(e.Data.Customer, e.Data.Mail)
	})
	ctx, store, registry := context.Background(), memstore.New(nil), orderEvents()
	defer store.Close()
	put(ctx, store, registry, "customer-ann", CustomerSignedUp{"ann", "ann@example.org"})
	put(ctx, store, registry, "customer-eve", CustomerSignedUp{"eve", "ann@example.org"})
	if err := newViews(store, registry).CatchUp(ctx, p); err != nil {
		log.Fatal(err)
	}
	row, found, err := byMail.Get(ctx, store, "ann@example.org")
	fmt.Println(row.Key, found, err)
	// Output: eve true <nil>
}
