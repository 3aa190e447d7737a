package aggregate_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore/memstore"
)

// snapshotted returns a repository of meters and writes a snapshot of one of them.
func snapshotted(ctx context.Context, store *memstore.Store, fingerprint string) *aggregate.Repository[Meter, Measure, Measured] {
	meters, err := newMeters(store, &aggregate.Options{Snapshots: &aggregate.Snapshots{
		Fingerprint: fingerprint,
		SlowerThan:  100 * time.Millisecond, // RunSnapshots writes one after a slower load
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := meters.Execute(ctx, "7", Measure{Month: "2026-01", Used: 2}); err != nil {
		log.Fatal(err)
	}
	if err := meters.Snapshot(ctx, "7"); err != nil {
		log.Fatal(err)
	}
	return meters
}

// What the nightly check of snapshots finds, before and after the fingerprint has changed.
func ExampleSnapshotReport() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	snapshotted(ctx, store, "meter/1")

	for _, fingerprint := range []string{"meter/1", "meter/2"} {
		meters, err := newMeters(store, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: fingerprint}})
		if err != nil {
			log.Fatal(err)
		}
		report, err := meters.VerifySnapshots(ctx)
		fmt.Println(report.Good, "good,", report.Outdated, "outdated,", len(report.Bad), "bad", err)
	}
	// Output:
	// 1 good, 0 outdated, 0 bad <nil>
	// 0 good, 1 outdated, 0 bad <nil>
}

// How to find out in a test that a fingerprint was not changed with Evolve: each load
// compares the snapshot with the events, logs a difference and uses the events.
func ExampleSnapshots_verify() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	snapshotted(ctx, store, "meter/1")

	changed := meter
	changed.Evolve = func(m Meter, e Measured) Meter {
		m.Readings += 10 // which it did not before
		m.ByMonth[e.Month] += e.Used
		return m
	}
	was := meter
	defer func() { meter = was }()
	meter = changed

	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	meters, err := newMeters(store, &aggregate.Options{Snapshots: &aggregate.Snapshots{
		Fingerprint: "meter/1",
		Verify:      true,
		Logger:      slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	}})
	if err != nil {
		log.Fatal(err)
	}
	state, _, err := meters.Load(ctx, "7")
	fmt.Println(state.Readings, err)
	// Output:
	// level=ERROR msg="snapshot differs from the fold of its events; it is not used" stream=meter-7 version=1
	// 10 <nil>
}
