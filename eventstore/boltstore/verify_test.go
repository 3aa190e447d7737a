package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// verifiable makes a closed log of twelve events: positions 1 to 4 and 6 to 10 are of stream
// "s-1", 5 of "s-2", 11 of none, 12 of "s-3"; 6 to 10 are one commit with a key, and 12 has a
// key too. The views "v" and "w" have three rows each.
func verifiable(t *testing.T) string {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for range 4 {
		appendEvents(t, s, "s-1", 1)
	}
	appendEvents(t, s, "s-2", 1)
	list := events(5)
	for i := range list {
		list[i].Stream = "s-1"
	}
	commits := []eventstore.Commit{
		{Key: "five", Events: list, Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.At(4)}}},
		{Events: []eventstore.NewEvent{{Type: "free"}}},
		{Key: "last", Events: []eventstore.NewEvent{{Stream: "s-3", Type: "t"}}, Expect: []eventstore.Expect{{Stream: "s-3", At: eventstore.NoStream}}},
	}
	for _, c := range commits {
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
	}
	for _, view := range []eventstore.ViewID{"v", "w"} {
		c := eventstore.RowCommit{View: view, Checkpoint: eventstore.Checkpoint{Position: 12}}
		for i := range 3 {
			c.Rows = append(c.Rows, eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: fmt.Append(nil, i)}, Value: []byte("value")})
		}
		require.NoError(t, s.CommitRows(t.Context(), c))
	}
	require.NoError(t, s.Close())
	return path
}

// findings verifies a file that it opens for reading only, so that nothing is repaired.
func findings(t *testing.T, path string) boltstore.VerifyReport {
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	return v
}

func TestVerify_AHealthyStore(t *testing.T) {
	path := verifiable(t)
	v := findings(t, path)
	require.Empty(t, v.Findings)
	require.True(t, v.OK())
	require.EqualValues(t, 12, v.Head)
	require.Equal(t, 12, v.Events)
	// Types, streams and their categories, tags, keys.
	require.Equal(t, 12+2*11+2*10+2, v.Postings)
	require.Equal(t, 2, v.Views)
	require.Equal(t, 6, v.Rows)

	s := open(t, path, nil)
	again, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, v, again)
	require.NoError(t, s.Close())

	writeIndex(t, path) // until here it was in memory
	require.Equal(t, v, findings(t, path))

	empty, err := open(t, logPath(t), nil).Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.VerifyReport{}, empty)
}

func TestVerify_AFileThatIsNotThere(t *testing.T) {
	path := verifiable(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, os.Rename(path, path+".old"))
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, v.Findings, 1)
	require.Equal(t, boltstore.File, v.Findings[0].Kind)
}

func TestVerify_AMetaPage(t *testing.T) {
	for page := range 2 {
		path := verifiable(t)
		overwrite(t, path, int64(page*os.Getpagesize()+40), []byte("damaged"))
		v := findings(t, path)
		require.NotEmpty(t, v.Findings)
		require.Equal(t, boltstore.MetaPage, v.Findings[0].Kind)
	}
}

// Open checks the description, so here it is damaged afterwards.
func TestVerify_TheDescription(t *testing.T) {
	path := verifiable(t)
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	defer s.Close()
	id := s.Info().StoreID
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range len(content) - len(id) {
		if [16]byte(content[i:i+16]) == id {
			overwrite(t, path, int64(i), []byte("damaged"))
		}
	}
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, v.Findings, 1)
	require.Equal(t, boltstore.Description, v.Findings[0].Kind)
}

func overwrite(tb testing.TB, path string, offset int64, bytes []byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(tb, err)
	_, err = f.WriteAt(bytes, offset)
	require.NoError(tb, err)
	require.NoError(tb, f.Close())
}

// After any page was overwritten, Verify ends without a panic, and counts all events or has
// findings.
func TestVerify_OverwrittenPages(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 20 {
		list := events(50)
		for n := range list {
			list[n].Data = bytes.Repeat(list[n].Data, 200)
		}
		_, err := eventstore.AppendTo(t.Context(), s, eventstore.StreamID(fmt.Sprint("s-", i)), eventstore.Any, list...)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	writeIndex(t, path)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page, opened, damaged, large := os.Getpagesize(), 0, 0, 0
	for offset := 2 * page; offset < min(len(content), 150*page); offset += page {
		for _, fill := range []byte{0x00, 0x5a, 0xff} {
			overwrite(t, path, int64(offset), bytes.Repeat([]byte{fill}, page))
			s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
			if err == nil {
				opened++
				v, err := s.Verify(t.Context(), nil)
				require.NoError(t, err)
				require.NoError(t, s.Close())
				if v.OK() {
					require.Equal(t, 1000, v.Events, "page at %d", offset)
				} else {
					damaged++
				}
				if v.Events < 900 {
					large++ // more than the packs of a page and the first of the next
				}
			}
			overwrite(t, path, int64(offset), content[offset:offset+page])
		}
	}
	require.Greater(t, opened, 60)
	require.Greater(t, damaged, 40)
	require.Less(t, large, 10, "the walk does not continue after a damaged page")
}

func TestVerify_BoundsFindingsAndEndsWithTheContext(t *testing.T) {
	path := verifiable(t)
	edit(t, path, func(tx *bolt.Tx) error {
		for p := range eventstore.Position(5) {
			key := record.Key(p + 2)
			if err := tx.Bucket([]byte("log")).Put(key[:], []byte("damaged")); err != nil {
				return err
			}
		}
		return nil
	})
	s := openDamaged(t, path)
	v, err := s.Verify(t.Context(), &boltstore.VerifyOptions{MaxFindings: 2})
	require.NoError(t, err)
	require.Len(t, v.Findings, 2)
	require.Equal(t, 3, v.Omitted)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Verify(ctx, &boltstore.VerifyOptions{Progress: func(eventstore.Progress) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	_, err = s.Verify(t.Context(), nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

// openDamaged opens a damaged file for reading, and does not verify it at the end.
func openDamaged(t *testing.T, path string) *boltstore.Store {
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestVerify_WhileTheStoreIsUsed(t *testing.T) {
	s := open(t, logPath(t), nil)
	view := eventstore.InlineView{View: "inline", Query: eventstore.All(), Timeout: time.Minute,
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			for _, e := range events {
				key := eventstore.RowKey{Table: "t", Key: fmt.Append(nil, e.Position%50)}
				if err := tx.Put(eventstore.Row{RowKey: key, Value: fmt.Append(nil, e.Position)}); err != nil {
					return err
				}
			}
			return nil
		}}
	require.NoError(t, s.Attach(t.Context(), view))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				c := eventstore.Commit{Key: fmt.Sprint(w, "-", i), Events: events(1 + i%5), Guards: nil}
				if _, err := s.Append(t.Context(), c); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for head := eventstore.Position(0); head < 2_000; {
		v, err := s.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, v.Findings)
		require.EqualValues(t, v.Head, v.Events)
		head = v.Head
	}
	close(stop)
	writers.Wait()
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, v.Findings)
	require.Empty(t, v.Unsettled)
	require.Equal(t, min(50, int(v.Head)), v.Rows)
}
