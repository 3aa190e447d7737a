package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The program of docs/how-to/decide-across-streams.md.

func Example_decideAcrossStreams() {
	ctx, store, registry := context.Background(), memstore.New(nil), must(newRegistry())
	decisions, err := aggregate.NewDecisions(store, registry, nil)
	if err != nil {
		panic(err)
	}
	must(decisions.Execute(ctx, defineCourse("algebra", 1)))

	decided, err := decisions.Execute(ctx, subscribe("ann", "algebra"))
	fmt.Println(decided.Events, err)

	_, err = decisions.Execute(ctx, subscribe("bob", "algebra"))
	fmt.Println(errors.Is(err, ErrFullyBooked), err)

	var taken, courses int
	_, err = decisions.Load(ctx, seatsTaken("algebra").Into(&taken), coursesOf("ann").Into(&courses))
	fmt.Println(taken, courses, err)
	// Output:
	// [{ann algebra}] <nil>
	// true the course is fully booked
	// 1 1 <nil>
}
