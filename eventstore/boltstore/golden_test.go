package boltstore_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

var update = flag.Bool("update", false, "rewrite the golden file of the current format")

// goldenFile is a compressed log of the current format, with a view and packs. Each later
// format gets a golden file beside it.
const goldenFile = "format-4.yore.gz"

// refusedFiles are compressed logs of formats that are not read any more.
var refusedFiles = []string{"format-1.yore.gz", "format-1-index-3.yore.gz", "format-2.yore.gz", "format-3.yore.gz"}

// goldenCommits are the commits in the golden file.
func goldenCommits() []eventstore.Commit {
	happened := time.Date(2011, 12, 9, 12, 50, 0, 7, time.UTC)
	return []eventstore.Commit{
		{
			Key: "command-1", Digest: []byte{0xab, 0xcd},
			Events: []eventstore.NewEvent{{
				Stream: "cart-536365", Type: "cart.item-added", SchemaVersion: 1, Codec: "json",
				Data:     []byte(`{"sku":"85123A","quantity":6}`),
				Metadata: eventstore.Metadata{"actor": "17850", "command-id": "command-1"},
				Tags:     []eventstore.Tag{"sku:85123A", "customer:17850"},
				Time:     happened,
			}},
			Expect: []eventstore.Expect{{Stream: "cart-536365", At: eventstore.NoStream}},
		},
		{
			Events: []eventstore.NewEvent{
				{Stream: "cart-536365", Type: "cart.checked-out", SchemaVersion: 2, Codec: "json"},
				{Stream: "örder", Type: "opened", Data: []byte{0, 1, 2, 0xff}},
				{Type: "note", Tags: []eventstore.Tag{"free"}},
				{Stream: "cart-536365", Type: "cart.closed"},
			},
			Expect: []eventstore.Expect{{Stream: "cart-536365", At: eventstore.At(1)}, {Stream: "örder", At: eventstore.Any}},
		},
		{Events: large(60)},
	}
}

// writeGoldenView writes the view of the golden file, some of its rows as a layer.
func writeGoldenView(t *testing.T, s *boltstore.Store) {
	var at eventstore.Checkpoint
	for position, rows := range []int{100, 16} {
		c := eventstore.RowCommit{View: "sales", Expected: at, Checkpoint: eventstore.Checkpoint{Position: eventstore.Position(position + 1), Data: []byte("x")}}
		for i := range rows {
			row := eventstore.Row{RowKey: eventstore.RowKey{Table: "by-sku", Key: fmt.Appendf(nil, "%05d", i*3)}}
			if i%4 != position {
				row.Value = fmt.Append(nil, position)
			}
			c.Rows = append(c.Rows, row)
		}
		require.NoError(t, s.CommitRows(t.Context(), c))
		at = c.Checkpoint
	}
}

// goldenOptions have a clock and ids that are the same in each run.
func goldenOptions() *boltstore.Options {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	var ids uint64
	return &boltstore.Options{
		Clock: func() time.Time { now = now.Add(time.Second); return now },
		NewID: func() (id uuid.UUID, err error) {
			ids++
			binary.BigEndian.PutUint64(id[8:], ids)
			return id, nil
		},
	}
}

func TestOpen_ReadsTheGoldenFile(t *testing.T) {
	fresh := logPath(t)
	s := open(t, fresh, goldenOptions())
	for _, c := range goldenCommits() {
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
	}
	if *update {
		require.NoError(t, s.Close())
		_, err := boltstore.Compact(t.Context(), fresh, nil) // with the index on disk
		require.NoError(t, err)
		s, err = boltstore.Open(fresh, nil)
		require.NoError(t, err)
		writeGoldenView(t, s)
		require.NoError(t, s.Close())
		pack(t, fresh, goldenFile)
		s = open(t, fresh, nil)
	} else {
		writeGoldenView(t, s)
	}
	path := unpack(t, goldenFile)
	golden := open(t, path, nil)
	require.Equal(t, all(t, s), all(t, golden), "the format has changed: give it a new number, a migration and a golden file of its own")
	receipt, found, err := golden.Lookup(t.Context(), "command-1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, []eventstore.StreamHead{{Stream: "cart-536365", Version: 1}}, receipt.Heads)
	require.Equal(t, []byte{0xab, 0xcd}, receipt.Digest)
	require.Len(t, positions(t, golden, eventstore.Stream("cart-536365")), 3)
	require.Len(t, positions(t, golden, eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"free"}})), 1)
	require.Empty(t, golden.Info().Warnings)
	require.EqualValues(t, 65, golden.Stats().Index.Through, "its index was not used")
	require.Equal(t, allRows(t, s), allRows(t, golden))
	require.NoError(t, golden.Close())
	require.Equal(t, 1, layersIn(t, path))
	require.Less(t, len(valuesOf(t, path)), 65, "it has no packs")
}

// TestOpen_RefusesOlderFormats: the error says what to do, and the file stays as it is.
func TestOpen_RefusesOlderFormats(t *testing.T) {
	for _, name := range refusedFiles {
		t.Run(name, func(t *testing.T) {
			path := unpack(t, name)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, readOnly := range []bool{false, true} {
				_, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, eventstore.ErrFormat)
				require.ErrorContains(t, err, "export the log (Store.Export) with the version of Yore that wrote it, and import it with this one")
			}
			for _, err := range []error{
				second(boltstore.Compact(t.Context(), path, nil)),
				second(boltstore.Reindex(t.Context(), path, nil)),
				second(boltstore.Salvage(t.Context(), path, filepath.Join(t.TempDir(), "new.yore"), nil)),
			} {
				require.ErrorIs(t, err, eventstore.ErrFormat)
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func second[T any](_ T, err error) error { return err }

// goldenBackup is a backup of format 2 of the first golden commits. Each later format gets a
// golden file beside it.
var goldenBackup = filepath.Join("testdata", "backup-2.yore-bak")

func TestRestore_RefusesOlderFormats(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "backup-1.yore-bak"))
	require.NoError(t, err)
	_, err = boltstore.Restore(t.Context(), logPath(t), nil, bytes.NewReader(content))
	require.ErrorIs(t, err, eventstore.ErrFormat)
	require.ErrorContains(t, err, "restore it with the version of Yore that wrote it, export the log (Store.Export), and import it with this one")
}

func TestRestore_ReadsTheGoldenBackup(t *testing.T) {
	s := open(t, logPath(t), goldenOptions())
	for _, c := range goldenCommits()[:2] {
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
	}
	if *update {
		content, _ := backUp(t, s, 0)
		require.NoError(t, os.WriteFile(goldenBackup, content, 0o600))
	}
	content, err := os.ReadFile(goldenBackup)
	require.NoError(t, err)
	path := logPath(t)
	_, err = boltstore.Restore(t.Context(), path, nil, bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, all(t, s), all(t, open(t, path, nil)))
	require.NotEmpty(t, takeApart(t, content).records)
}

func all(t *testing.T, s eventstore.Store) []eventstore.Event {
	var list []eventstore.Event
	for e, err := range s.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func allRows(t *testing.T, s *boltstore.Store) (list []eventstore.RowSet) {
	for set, err := range s.ScanRows(t.Context(), "sales", eventstore.RowScan{Table: "by-sku"}) {
		require.NoError(t, err)
		list = append(list, set)
	}
	require.Len(t, list, 1)
	require.Len(t, list[0].Rows, 75)
	return list
}

func pack(t *testing.T, path, name string) {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(filepath.Join("testdata", name), packed.Bytes(), 0o600))
}

func unpack(t *testing.T, name string) string {
	packed, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	require.NoError(t, err)
	content, err := io.ReadAll(r)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "golden.yore")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}
