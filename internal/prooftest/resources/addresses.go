package resources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func addressCases() []testCase {
	return []testCase{
		{name: "few addresses, every tool, 4 GiB", addresses: 4 << 30, run: everyTool},
		{name: "few addresses, every tool, 600 MiB", addresses: 600 << 20, run: everyTool},
		{name: "few addresses, every tool, 300 MiB", addresses: 300 << 20, run: everyTool},
		{name: "a file outgrows its addresses", addresses: 220 << 20, run: outgrown},
		{name: "a file outgrows its addresses under readers", addresses: 220 << 20, run: func(ctx context.Context, dir string) error {
			return underReaders(ctx, dir, outgrow)
		}},
	}
}

// everyTool opens and makes files in every way.
func everyTool(ctx context.Context, dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	s, err := boltstore.Open(at("log"), nil)
	if err != nil {
		return err
	}
	var backup, export bytes.Buffer
	const events = 1000
	for range events / 10 {
		_, err := eventstore.AppendTo(ctx, s, "s", eventstore.Any, slicesOf(10)...)
		if err != nil {
			return err
		}
	}
	_, backupErr := s.Backup(ctx, &backup, nil)
	_, exportErr := s.Export(ctx, &export, nil)
	_, verifyErr := s.Verify(ctx, nil)
	closeErr := s.Close()
	_, compactErr := boltstore.Compact(ctx, at("log"), nil)
	_, reindexErr := boltstore.Reindex(ctx, at("log"), nil)
	_, salvageErr := boltstore.Salvage(ctx, at("log"), at("saved"), nil)
	_, restoreErr := boltstore.Restore(ctx, at("restored"), nil, &backup)
	_, importErr := boltstore.Import(ctx, at("imported"), &export, nil)
	if err := errors.Join(backupErr, exportErr, verifyErr, closeErr, compactErr, reindexErr, salvageErr, restoreErr, importErr); err != nil {
		return err
	}
	for _, name := range []string{"log", "saved", "restored", "imported"} {
		if err := holds(ctx, at(name), events); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func slicesOf(n int) []eventstore.NewEvent {
	events := make([]eventstore.NewEvent, n)
	for i := range events {
		events[i] = eventstore.NewEvent{Type: "t", Data: make([]byte, 2000)}
	}
	return events
}

// holds checks that a log has a number of events at least.
func holds(ctx context.Context, path string, events int) (err error) {
	s, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return readAll(ctx, s, events)
}

// readAll reads the log, which has a number of events at least.
func readAll(ctx context.Context, s eventstore.Store, events int) error {
	found := 0
	for _, err := range s.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return err
		}
		found++
	}
	if found < events {
		return fmt.Errorf("%d events instead of %d", found, events)
	}
	return nil
}

// largeEvent is one by which a file grows quickly.
var largeEvent = eventstore.NewEvent{Type: "t", Data: make([]byte, 2<<20)}

// outgrow appends until an append fails, and returns how many events there are.
func outgrow(ctx context.Context, s eventstore.Store) (events int, err error) {
	for events < 128 {
		_, err := eventstore.AppendTo(ctx, s, "s", eventstore.At(eventstore.Version(events)), largeEvent)
		switch {
		case err == nil:
			events++
		case !errors.Is(err, syscall.ENOMEM) || errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrFailed):
			return events, fmt.Errorf("the error of the append that needs more addresses: %w", err)
		default:
			return events, nil
		}
	}
	return events, errors.New("the file did not outgrow its addresses")
}

// outgrown has a file outgrow the addresses that the process may have. The append fails,
// and reads go on; with more addresses, appends go on too.
func outgrown(ctx context.Context, dir string) error {
	path := filepath.Join(dir, "log")
	s, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	events, err := outgrow(ctx, s)
	for range 3 {
		if err = errors.Join(err, readAll(ctx, s, events)); err == nil {
			_, err = eventstore.AppendTo(ctx, s, "s", eventstore.At(eventstore.Version(events)), largeEvent)
			if errors.Is(err, syscall.ENOMEM) {
				err = nil
			} else {
				err = fmt.Errorf("again: %w", err)
			}
		}
	}
	if _, lockErr := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Millisecond}); !errors.Is(lockErr, eventstore.ErrLocked) {
		err = errors.Join(err, fmt.Errorf("the lock was given up: %w", lockErr))
	}
	if err == nil {
		err = limitAddresses(1 << 30)
	}
	if err == nil {
		_, err = eventstore.AppendTo(ctx, s, "s", eventstore.At(eventstore.Version(events)), largeEvent)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	return holds(ctx, path, events+1)
}

// underReaders does something to a store while others read it.
func underReaders(ctx context.Context, dir string, do func(context.Context, eventstore.Store) (int, error)) error {
	s, err := boltstore.Open(filepath.Join(dir, "log"), nil)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for running.Err() == nil && errs[i] == nil {
				if err := readAll(running, s, 0); running.Err() == nil {
					errs[i] = err
				}
			}
		})
	}
	events, err := do(ctx, s)
	cancel()
	all.Wait()
	return errors.Join(append(errs, err, readAll(ctx, s, events), s.Close())...)
}
