package boltstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/eventstore/storetest"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// paths has the path of the file of each store in the conformance suite.
type paths struct{ files sync.Map }

func (p *paths) open(tb testing.TB, path string, opts *boltstore.Options) eventstore.Store {
	s, err := boltstore.Open(path, opts)
	require.NoError(tb, err)
	p.files.Store(eventstore.Store(s), path)
	return s
}

func (p *paths) of(s eventstore.Store) string {
	path, _ := p.files.Load(s)
	return path.(string)
}

func config() storetest.Config {
	var p paths
	return storetest.Config{
		Open: func(tb testing.TB) eventstore.Store {
			return p.open(tb, filepath.Join(tb.TempDir(), "log.yore"), nil)
		},
		Reopen: func(tb testing.TB, closed eventstore.Store) eventstore.Store {
			return p.open(tb, p.of(closed), nil)
		},
		OpenSecond: func(tb testing.TB, open eventstore.Store) (eventstore.Store, error) {
			return asStore(boltstore.Open(p.of(open), &boltstore.Options{LockTimeout: 1}))
		},
		OpenReadOnly: func(tb testing.TB, closed eventstore.Store) eventstore.Store {
			return p.open(tb, p.of(closed), &boltstore.Options{ReadOnly: true})
		},
		OpenNewer: func(tb testing.TB) (eventstore.Store, error) {
			path := filepath.Join(tb.TempDir(), "newer.yore")
			create(tb, path)
			edit(tb, path, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("yore")).Put([]byte("format"), []byte{0, 0, 1, 0})
			})
			return asStore(boltstore.Open(path, nil))
		},
		Verify: func(tb testing.TB, open eventstore.Store) { verify(tb, open) },
	}
}

// asStore keeps a nil *Store from becoming a Store that is not nil.
func asStore(s *boltstore.Store, err error) (eventstore.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestStore(t *testing.T) { storetest.Run(t, config()) }

// TestStore_AnswersAsTheOracle compares random histories with memstore.
func TestStore_AnswersAsTheOracle(t *testing.T) {
	storetest.RunModel(t, config(), storetest.Config{
		Open: func(testing.TB) eventstore.Store { return memstore.New(nil) },
	})
}

// open opens a log. At the end of the test it verifies and closes it.
func open(tb testing.TB, path string, opts *boltstore.Options) *boltstore.Store {
	tb.Helper()
	s := openUnverified(tb, path, opts)
	tb.Cleanup(func() {
		if _, err := s.Head(context.Background()); err == nil {
			verify(tb, s)
		}
	})
	return s
}

// openUnverified is open without the verification.
func openUnverified(tb testing.TB, path string, opts *boltstore.Options) *boltstore.Store {
	tb.Helper()
	s, err := boltstore.Open(path, opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// create makes an empty log.
func create(tb testing.TB, path string) {
	tb.Helper()
	s, err := boltstore.Open(path, nil)
	require.NoError(tb, err)
	require.NoError(tb, s.Close())
}

// edit changes a closed file with bbolt alone.
func edit(tb testing.TB, path string, fn func(*bolt.Tx) error) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(tb, err)
	require.NoError(tb, db.Update(func(tx *bolt.Tx) error { return errors.Join(fn(tx), keepHead(tx)) }))
	require.NoError(tb, db.Close())
}

// keepHead makes the transaction the last of the log's own, with the head that the file says.
func keepHead(tx *bolt.Tx) error {
	b := tx.Bucket([]byte("yore"))
	if b == nil || len(b.Get([]byte("head"))) != 24 {
		return nil
	}
	said := b.Get([]byte("head"))
	head := logfile.Head{
		Position: eventstore.Position(binary.BigEndian.Uint64(said)), Chain: record.Chain(binary.BigEndian.Uint32(said[8:])),
	}
	return logfile.PutHead(pages.Write(tx), seedOf(tx), head)
}

// seedOf returns the seed of the checksums in a file.
func seedOf(tx *bolt.Tx) record.Seed {
	var id uuid.UUID
	copy(id[:], tx.Bucket([]byte("yore")).Get([]byte("id")))
	return record.SeedOf(id)
}

// verify runs Verify, reads the whole log, and compares what queries find with the events that
// match them.
func verify(tb testing.TB, s eventstore.Store) {
	tb.Helper()
	ctx := context.Background() // that of the test has ended when it cleans up
	if s, ok := s.(*boltstore.Store); ok {
		v, err := s.Verify(ctx, nil)
		require.NoError(tb, err)
		require.Empty(tb, v.Findings)
	}
	head, err := s.Head(ctx)
	require.NoError(tb, err)
	streams := map[eventstore.StreamID][]eventstore.Position{}
	terms := map[string]eventstore.Query{}
	want := map[string][]eventstore.Position{}
	next := eventstore.Position(1)
	for e, err := range s.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(tb, err)
		require.Equal(tb, next, e.Position)
		next++
		add := func(name string, q eventstore.Query) {
			terms[name] = q
			want[name] = append(want[name], e.Position)
		}
		if e.Stream != "" {
			streams[e.Stream] = append(streams[e.Stream], e.Position)
			require.EqualValues(tb, len(streams[e.Stream]), e.Version, "version at position %d", e.Position)
			add("stream "+string(e.Stream), eventstore.Stream(e.Stream))
			add("category "+e.Stream.Category(), eventstore.Category(e.Stream.Category()))
		}
		add("type "+e.Type, eventstore.Match(eventstore.Item{Types: []string{e.Type}}))
		for _, tag := range e.Tags {
			add("tag "+string(tag), eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{tag}}))
		}
	}
	require.Equal(tb, head+1, next)
	checked := 0
	for name, q := range terms {
		if checked++; checked > 200 {
			break // enough of them, in random order
		}
		require.Equal(tb, want[name], positions(tb, s, q), name)
	}
}

func positions(tb testing.TB, s eventstore.Store, q eventstore.Query) []eventstore.Position {
	tb.Helper()
	var found []eventstore.Position
	for e, err := range s.Read(context.Background(), q, eventstore.ReadOptions{}) {
		require.NoError(tb, err)
		found = append(found, e.Position)
	}
	return found
}

// appendEvents appends n events to a stream, in one commit.
func appendEvents(tb testing.TB, s eventstore.Store, stream eventstore.StreamID, n int) eventstore.Receipt {
	tb.Helper()
	receipt, err := eventstore.AppendTo(tb.Context(), s, stream, eventstore.Any, events(n)...)
	require.NoError(tb, err)
	return receipt
}

func events(n int) []eventstore.NewEvent {
	list := make([]eventstore.NewEvent, n)
	for i := range list {
		list[i] = eventstore.NewEvent{Type: "t", Data: fmt.Appendf(nil, "%d", i), Tags: []eventstore.Tag{"all", eventstore.Tag(fmt.Sprintf("n:%d", i%7))}}
	}
	return list
}

func logPath(tb testing.TB) string { return filepath.Join(tb.TempDir(), "log.yore") }

func files(tb testing.TB, dir string) []string {
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names
}
