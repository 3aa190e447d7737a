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

// goldenFiles are compressed logs: of format 1 one whose index has format 1 and is rebuilt,
// and one whose index has format 3; of format 2 one with a view; of format 3 one that also
// has packs. Every Yore must be able to read them, so each later format gets a golden file
// beside these.
var goldenFiles = []string{"format-1.yore.gz", "format-1-index-3.yore.gz", "format-2.yore.gz", "format-3.yore.gz"}

// goldenCommits are the commits in the golden files. Those before format 3 lack the third.
func goldenCommits() []eventstore.Commit {
	happened := time.Date(2011, 12, 9, 12, 50, 0, 7, time.UTC)
	return []eventstore.Commit{
		{
			Key: "command-1",
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

func TestOpen_ReadsTheGoldenFiles(t *testing.T) {
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
		pack(t, fresh, goldenFiles[len(goldenFiles)-1])
		s = open(t, fresh, nil)
	} else {
		writeGoldenView(t, s)
	}
	for i, name := range goldenFiles {
		path := unpack(t, name)
		golden := open(t, path, nil)
		events := all(t, s)
		if i < len(goldenFiles)-1 {
			events = events[:5]
		}
		require.Equal(t, events, all(t, golden), "the format has changed: give it a new number, a migration and a golden file of its own")
		receipt, found, err := golden.Lookup(t.Context(), "command-1")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, []eventstore.StreamHead{{Stream: "cart-536365", Version: 1}}, receipt.Heads)
		require.Len(t, positions(t, golden, eventstore.Stream("cart-536365")), 3)
		require.Len(t, positions(t, golden, eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"free"}})), 1)
		if i == len(goldenFiles)-1 {
			require.Empty(t, golden.Info().Warnings)
			require.EqualValues(t, 65, golden.Stats().Index.Through, "its index was not used")
			require.Equal(t, allRows(t, s), allRows(t, golden))
			require.NoError(t, golden.Close())
			require.Equal(t, 1, layersIn(t, path))
			require.Less(t, len(valuesOf(t, path)), len(events), "it has no packs")
		}
	}
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
