package boltstore_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// someTransactions makes the content of a log of 2,000 events, in transactions of 100.
func someTransactions(t *testing.T) []byte {
	t.Helper()
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for range 20 {
		appendEvents(t, s, "s", 100)
	}
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// openContent opens a log of the given content, which is in the file only.
func openContent(t *testing.T, path string, content []byte) *boltstore.Store {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	return s
}

// damages are what another program may do to an open file. other is another log of the same
// size and number of transactions, and older is the file as it was before.
func damages(other, older []byte) map[string]func(path string) error {
	over := func(content []byte, flags int) func(string) error {
		return func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|flags, 0)
			if err != nil {
				return err
			}
			_, err = f.Write(content)
			return errors.Join(err, f.Close())
		}
	}
	to := func(size int64) func(string) error {
		return func(path string) error { return os.Truncate(path, size) }
	}
	return map[string]func(path string) error{
		"truncated to nothing":                    to(0),
		"truncated to a page":                     to(4096),
		"truncated to a part":                     to(20 * 4096),
		"a backup copied over it":                 over(older, os.O_TRUNC),
		"a backup written over it":                over(older, 0),
		"another log copied over it":              over(other, os.O_TRUNC),
		"another log written over it":             over(other, 0),
		"zeros written over it":                   zeros,
		"truncated to nothing and extended again": func(path string) error { return errors.Join(os.Truncate(path, 0), os.Truncate(path, 1<<25)) },
	}
}

// calls are calls of a store. Each may be the first to meet the fault.
func calls(s *boltstore.Store) map[string]func(context.Context) error {
	read := func(q eventstore.Query, backward bool) func(context.Context) error {
		return func(ctx context.Context) error {
			for _, err := range s.Read(ctx, q, eventstore.ReadOptions{Backward: backward}) {
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	return map[string]func(context.Context) error{
		"append": func(ctx context.Context) error {
			_, err := eventstore.AppendTo(ctx, s, "s", eventstore.Any, events(3)...)
			return err
		},
		"read":        read(eventstore.All(), false),
		"read back":   read(eventstore.All(), true),
		"read stream": read(eventstore.Stream("s"), false),
		"look up": func(ctx context.Context) error {
			_, _, err := s.Lookup(ctx, "none")
			return err
		},
		"back up": func(ctx context.Context) error {
			_, err := s.Backup(ctx, io.Discard, nil)
			return err
		},
		"export": func(ctx context.Context) error {
			_, err := s.Export(ctx, io.Discard, nil)
			return err
		},
		"verify": func(ctx context.Context) error {
			_, err := s.Verify(ctx, nil)
			return err
		},
	}
}

// within fails the test if fn does not end in time.
func within(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		panic(what + " does not end") // with the stacks of all goroutines
	}
}

// TestStore_OverwrittenWhileOpen has another program damage the open file. Every call ends,
// twice; appends fail with ErrFailed; Close returns and gives up the lock.
func TestStore_OverwrittenWhileOpen(t *testing.T) {
	content, other := someTransactions(t), someTransactions(t)
	for name, damage := range damages(other, content) {
		for first := range calls(nil) {
			t.Run(name+"/"+first, func(t *testing.T) {
				path := logPath(t)
				s := openContent(t, path, content)
				if strings.HasPrefix(name, "a backup") {
					appendEvents(t, s, "s", 10)
				}
				require.NoError(t, damage(path))
				within(t, first, func() {
					for range 2 {
						err := calls(s)[first](t.Context())
						if first == "append" {
							require.ErrorIs(t, err, eventstore.ErrFailed)
							require.ErrorContains(t, err, "another program")
							require.ErrorContains(t, err, "close the store")
						}
						if err != nil && !errors.Is(err, eventstore.ErrFailed) {
							require.ErrorIs(t, err, eventstore.ErrCorrupt)
						}
					}
				})
				for next, call := range calls(s) {
					within(t, next, func() { _ = call(t.Context()) })
				}
				within(t, "close", func() { require.NoError(t, s.Close()) })
				again, err := boltstore.Open(path, nil)
				require.NotErrorIs(t, err, eventstore.ErrLocked)
				if err == nil {
					require.NoError(t, again.Close())
				}
			})
		}
	}
}

// TestStore_OverwrittenUnderLoad damages the file under readers, a follower and appenders.
func TestStore_OverwrittenUnderLoad(t *testing.T) {
	content, other := someTransactions(t), someTransactions(t)
	for _, damage := range damages(other, content) {
		path := logPath(t)
		s := openContent(t, path, content)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for name, call := range calls(s) {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := call(ctx); name == "append" && err != nil && ctx.Err() == nil {
						require.True(t, errors.Is(err, eventstore.ErrFailed) || errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrCorrupt), "%v", err)
					}
				}
			})
		}
		all.Go(func() {
			for _, err := range s.Follow(ctx, eventstore.All(), 0) {
				_ = err
			}
		})
		time.Sleep(5 * time.Millisecond)
		require.NoError(t, damage(path))
		time.Sleep(20 * time.Millisecond)
		cancel()
		within(t, "a call", all.Wait)
		within(t, "close", func() { require.NoError(t, s.Close()) })
	}
}

// zeros writes zeros over the whole file.
func zeros(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, info.Size()))
	return errors.Join(err, f.Close())
}
