package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The program of docs/how-to/load-long-histories.md: a meter sends its reading
// every few minutes, for years.

type Measured struct {
	Month string `json:"month"`
	Used  int    `json:"used"`
}

type Measure struct {
	Month string
	Used  int
}

type Meter struct {
	Readings int
	ByMonth  map[string]int
}

var meter = aggregate.Decider[Meter, Measure, Measured]{
	Category: "meter",
	Initial:  func() Meter { return Meter{ByMonth: make(map[string]int)} },
	Decide:   func(_ Meter, cmd Measure) ([]Measured, error) { return []Measured{Measured(cmd)}, nil },
	Evolve: func(m Meter, e Measured) Meter {
		m.Readings++
		m.ByMonth[e.Month] += e.Used
		return m
	},
	Clone: func(m Meter) Meter {
		m.ByMonth = maps.Clone(m.ByMonth)
		return m
	},
}

func newMeters(store eventstore.Store, opts *aggregate.Options) (*aggregate.Repository[Meter, Measure, Measured], error) {
	b := codec.NewBuilder()
	codec.Register[Measured](b, "meter.measured", 1)
	registry, err := b.Build()
	if err != nil {
		return nil, err
	}
	return aggregate.NewRepository(store, registry, meter, opts)
}

// longHistories are the options of a repository whose aggregates have many events.
func longHistories(logger *slog.Logger) *aggregate.Options {
	return &aggregate.Options{
		CacheSize: 5_000,
		Snapshots: &aggregate.Snapshots{
			Fingerprint: "meter/1",
			Every:       1_000,
			Logger:      logger,
		},
	}
}

// showLoads prints where loads begin.
func showLoads(ctx context.Context, _ eventstore.StreamID) (context.Context, func(aggregate.Loaded, error)) {
	return ctx, func(l aggregate.Loaded, _ error) {
		fmt.Printf("version %d: %d events after version %d\n", l.Version, l.Events, l.From)
	}
}

func ExampleRepository_RunSnapshots() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))

	opts := longHistories(logger)
	opts.Hooks = &aggregate.Hooks{Load: showLoads}
	meters, err := newMeters(store, opts)
	if err != nil {
		log.Fatal(err)
	}
	writing, stop := context.WithCancel(ctx)
	stopped := make(chan error)
	go func() { stopped <- meters.RunSnapshots(writing) }()

	for range 3 {
		if _, err := meters.Execute(ctx, "7", Measure{Month: "2026-01", Used: 2}); err != nil {
			log.Fatal(err)
		}
	}
	state, _, err := meters.Load(ctx, "7") // the last event is new to the state in memory
	fmt.Println(state, err)

	stop()
	fmt.Println(errors.Is(<-stopped, context.Canceled))
	// Output:
	// version 0: 0 events after version 0
	// version 1: 1 events after version 0
	// version 2: 1 events after version 1
	// version 3: 1 events after version 2
	// {3 map[2026-01:6]} <nil>
	// true
}

// A snapshot is there for the next program that opens the store, too.
func ExampleRepository_Snapshot() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	opts := longHistories(nil)
	meters, err := newMeters(store, opts)
	if err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if _, err := meters.Execute(ctx, "7", Measure{Month: "2026-01", Used: 2}); err != nil {
			log.Fatal(err)
		}
	}
	if err := meters.Snapshot(ctx, "7"); err != nil {
		log.Fatal(err)
	}

	opts.Hooks = &aggregate.Hooks{Load: showLoads}
	restarted, err := newMeters(store, opts)
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = restarted.Load(ctx, "7")
	fmt.Println(err)

	// What the state means has changed: nothing of the old snapshots is used.
	opts.Snapshots.Fingerprint = "meter/2"
	changed, err := newMeters(store, opts)
	if err != nil {
		log.Fatal(err)
	}
	_, _, err = changed.Load(ctx, "7")
	fmt.Println(err)

	// They can be thrown away, too.
	fmt.Println(changed.DropSnapshots(ctx))
	// Output:
	// version 100: 0 events after version 100
	// <nil>
	// version 100: 100 events after version 0
	// <nil>
	// <nil>
}

// checkSnapshots says whether loads may believe the snapshots.
func checkSnapshots(ctx context.Context, meters *aggregate.Repository[Meter, Measure, Measured]) error {
	report, err := meters.VerifySnapshots(ctx)
	if err != nil {
		return err
	}
	for _, bad := range report.Bad {
		if bad.Used {
			return fmt.Errorf("%s: %s; did Evolve change, and not the fingerprint?", bad.Stream, bad.Reason)
		}
	}
	return nil
}

func ExampleRepository_VerifySnapshots() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	meters, err := newMeters(store, longHistories(nil))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := meters.Execute(ctx, "7", Measure{Month: "2026-01", Used: 2}); err != nil {
		log.Fatal(err)
	}
	if err := meters.Snapshot(ctx, "7"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(checkSnapshots(ctx, meters))

	// A developer changes the unit of Evolve, and forgets the fingerprint.
	was := meter.Evolve
	defer func() { meter.Evolve = was }()
	meter.Evolve = func(m Meter, e Measured) Meter {
		m.ByMonth[e.Month] += e.Used * 1000
		return m
	}
	changed, err := newMeters(store, longHistories(nil))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(checkSnapshots(ctx, changed))
	// Output:
	// <nil>
	// meter-7: the fold of its events up to version 1 is another state; did Evolve change, and not the fingerprint?
}

// Two meters are read together: both readings are in the log, or none.
func ExampleExecuteAll() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	meters, err := newMeters(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	var water, gas aggregate.Result[Meter, Measured]
	receipt, err := aggregate.ExecuteAll(ctx,
		meters.Part(ctx, "water", Measure{Month: "2026-01", Used: 4}, &water),
		meters.Part(ctx, "gas", Measure{Month: "2026-01", Used: 9}, &gas))
	fmt.Println(receipt.First, receipt.Last, err)
	fmt.Println(water.State.ByMonth, gas.State.ByMonth)

	_, err = aggregate.ExecuteAll(ctx,
		meters.Part(ctx, "water", Measure{Month: "2026-02", Used: 4}, &water),
		meters.Part(ctx, "", Measure{Month: "2026-02", Used: 9}, &gas))
	var failed *aggregate.BatchError
	if errors.As(err, &failed) {
		fmt.Println("because of command", failed.Index)
	}
	// Output:
	// 1 2 <nil>
	// map[2026-01:4] map[2026-01:9]
	// because of command 1
}

// A function that reads, decides and appends on its own is retried as repositories do.
func ExampleRetry() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	err := aggregate.Retry(ctx, 10, func(ctx context.Context) error {
		head, err := store.Head(ctx)
		if err != nil {
			return err
		}
		_, err = store.Append(ctx, eventstore.Commit{
			Events: []eventstore.NewEvent{{Type: "noted"}},
			Guards: []eventstore.Guard{{Query: eventstore.All(), After: head}},
		})
		return err
	})
	fmt.Println(err)
	// Output:
	// <nil>
}
