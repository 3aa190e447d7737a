package doctor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/doctor"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Options limit the examination to a part of the log: here, before a release, to the events
// of one type. The program makes its own list of the findings.
func ExampleOptions() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	for _, data := range []string{`{"sku":"23843"}`, `{"sku":7}`, `not even JSON`} {
		commit := eventstore.Commit{Events: []eventstore.NewEvent{
			{Type: "added", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(data)},
			{Type: "looked-at", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(data)},
		}}
		if _, err := store.Append(ctx, commit); err != nil {
			log.Fatal(err)
		}
	}

	b := codec.NewBuilder()
	codec.Register[added](b, "added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	report, err := doctor.Examine(ctx, store, registry, &doctor.Options{
		Query:    eventstore.Match(eventstore.Item{Types: []string{"added"}}),
		Examples: 2,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, finding := range report.Undecodable {
		fmt.Println(finding.Events, "of", finding.Name, "version", finding.Version)
		for _, example := range finding.Examples {
			fmt.Println("position", example.Position, "says why:", example.Reason != "")
		}
	}
	// Output:
	// 2 of added version 1
	// position 3 says why: true
	// position 5 says why: true
}
