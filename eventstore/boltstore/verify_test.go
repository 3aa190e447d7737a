package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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

// verifiable makes a closed log of twelve events: positions 1 to 4 and 6 to 10
// are of stream "s-1", 5 of "s-2", 11 of none, 12 of "s-3"; 6 to 10 are one
// commit with a key, 12 has a key too. Views "v" and "w" have three rows each.
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

// findings verifies the file, opened for reading only so that nothing is repaired.
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

// rewrite replaces a record by one that is whole, but not what was written.
func rewrite(tx *bolt.Tx, p eventstore.Position, change func(r *record.Record)) error {
	log, key := tx.Bucket([]byte("log")), record.Key(p)
	r, err := record.Decode(p, log.Get(key[:]))
	if err != nil {
		return err
	}
	change(&r)
	e := &r.Event
	rec := record.Append(nil, &eventstore.NewEvent{Stream: e.Stream, ID: e.ID, Type: e.Type, Data: e.Data, Tags: e.Tags}, r.Place, r.Key)
	record.Seal(rec, p, e.Version, e.Recorded)
	return log.Put(key[:], rec)
}

// retag replaces a record by one that has other tags, of which the index does not
// know.
func retag(tx *bolt.Tx, p eventstore.Position, tags ...eventstore.Tag) error {
	return rewrite(tx, p, func(r *record.Record) { r.Event.Tags = tags })
}

func TestVerify_FindsEachKindOfDamage(t *testing.T) {
	logKey := func(p eventstore.Position) []byte { key := record.Key(p); return key[:] }
	bucket := func(tx *bolt.Tx, names ...string) *bolt.Bucket {
		b := tx.Bucket([]byte(names[0]))
		for _, name := range names[1:] {
			b = b.Bucket([]byte(name))
		}
		return b
	}
	type want struct {
		kind     boltstore.FindingKind
		position eventstore.Position
		view     eventstore.ViewID
	}
	tests := map[string]struct {
		damage  func(tx *bolt.Tx) error
		reindex bool // the index is made anew from what is in the log then
		want    []want
	}{
		"a changed record": {
			damage: func(tx *bolt.Tx) error { return flip(bucket(tx, "log"), logKey(7)) },
			want:   []want{{kind: boltstore.DamagedRecord, position: 7}},
		},
		"another's record": {
			damage: func(tx *bolt.Tx) error {
				return bucket(tx, "log").Put(logKey(2), append([]byte{}, bucket(tx, "log").Get(logKey(3))...))
			},
			want: []want{{kind: boltstore.DamagedRecord, position: 2}},
		},
		"missing records": {
			damage: func(tx *bolt.Tx) error {
				return errors.Join(bucket(tx, "log").Delete(logKey(2)), bucket(tx, "log").Delete(logKey(3)), bucket(tx, "log").Delete(logKey(11)))
			},
			want: []want{{kind: boltstore.MissingRecord, position: 2}, {kind: boltstore.MissingRecord, position: 11}},
		},
		"the first record is missing": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "log").Delete(logKey(1)) },
			want:   []want{{kind: boltstore.MissingRecord, position: 1}},
		},
		"a key that is no position": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "log").Put(append(logKey(3), 0), []byte("x")) },
			want:   []want{{kind: boltstore.StrayRecord}},
		},
		"position 0": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "log").Put(logKey(0), []byte("x")) },
			want:   []want{{kind: boltstore.StrayRecord}},
		},
		"a place in the commit": {
			damage: func(tx *bolt.Tx) error { return rewrite(tx, 8, func(r *record.Record) { r.Place.I = 3 }) },
			want:   []want{{kind: boltstore.BrokenCommit, position: 8}, {kind: boltstore.BrokenCommit, position: 9}},
		},
		"a commit without its end": {
			damage: func(tx *bolt.Tx) error { return rewrite(tx, 12, func(r *record.Record) { r.Place.N = 2 }) },
			want:   []want{{kind: boltstore.BrokenCommit, position: 12}},
		},
		"a commit recorded at two times": {
			damage: func(tx *bolt.Tx) error {
				return rewrite(tx, 10, func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(1) })
			},
			want: []want{{kind: boltstore.BrokenCommit, position: 10}},
		},
		"an earlier time": {
			damage: func(tx *bolt.Tx) error {
				return rewrite(tx, 11, func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(-time.Hour) })
			},
			want: []want{{kind: boltstore.DecreasingTime, position: 11}},
		},
		"a version twice": {
			damage:  func(tx *bolt.Tx) error { return rewrite(tx, 4, func(r *record.Record) { r.Event.Version = 3 }) },
			reindex: true,
			want:    []want{{kind: boltstore.BrokenStream, position: 4}, {kind: boltstore.BrokenStream, position: 6}},
		},
		"a version of no stream": {
			damage:  func(tx *bolt.Tx) error { return rewrite(tx, 11, func(r *record.Record) { r.Event.Version = 3 }) },
			reindex: true,
			want:    []want{{kind: boltstore.BrokenStream, position: 11}},
		},
		"a key twice": {
			damage:  func(tx *bolt.Tx) error { return rewrite(tx, 12, func(r *record.Record) { r.Key = "five" }) },
			reindex: true,
			want:    []want{{kind: boltstore.RepeatedKey, position: 12}},
		},
		"a changed filter": {
			damage: func(tx *bolt.Tx) error { return flip(bucket(tx, "index"), runKeys(tx, true)[0]) },
			want:   []want{{kind: boltstore.IndexEntry, position: 1}},
		},
		"a missing posting": {
			damage: func(tx *bolt.Tx) error { return retag(tx, 3, "all", "n:0", "n:6") },
			want:   []want{{kind: boltstore.IndexEntry, position: 3}},
		},
		"a posting too many": {
			damage: func(tx *bolt.Tx) error { return retag(tx, 3, "all") },
			want:   []want{{kind: boltstore.IndexEntry, position: 3}},
		},
		"a posting instead of another": {
			damage: func(tx *bolt.Tx) error {
				return errors.Join(retag(tx, 3, "all"), retag(tx, 5, "all", "n:0", "n:6"))
			},
			want: []want{{kind: boltstore.IndexEntry, position: 5}, {kind: boltstore.IndexEntry, position: 3}},
		},
		"an index beyond the head": {
			damage: changeStatus(func(s *indexStatus) { s.runs[0].through = 99 }),
			want:   []want{{kind: boltstore.IndexEntry}},
		},
		"no index": {
			damage: func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("index")) },
			want:   []want{{kind: boltstore.IndexEntry}},
		},
		"a changed row": {
			damage: func(tx *bolt.Tx) error { return flip(bucket(tx, "rows", "v"), []byte("t\x001")) },
			want:   []want{{kind: boltstore.DamagedRow, view: "v"}},
		},
		"a row of another view": {
			damage: func(tx *bolt.Tx) error {
				return bucket(tx, "rows", "w").Put([]byte("t\x001"), append([]byte{}, bucket(tx, "rows", "v").Get([]byte("t\x001"))...))
			},
			want: []want{{kind: boltstore.DamagedRow, view: "w"}},
		},
		"a missing row": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "rows", "v").Delete([]byte("t\x001")) },
			want:   []want{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a missing tally": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "rows", "v").Delete([]byte{0}) },
			want:   []want{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a changed tally": {
			damage: func(tx *bolt.Tx) error { return flip(bucket(tx, "rows", "w"), []byte{0}) },
			want:   []want{{kind: boltstore.MissingRow, view: "w"}},
		},
		"a row of before": {
			damage: func(tx *bolt.Tx) error {
				key, value := []byte("t\x001"), []byte("older")
				table := crc32.MakeTable(crc32.Castagnoli)
				sum := crc32.Checksum([]byte("v"), table)
				sum = crc32.Update(sum, table, binary.BigEndian.AppendUint64(nil, uint64(len(key))))
				sum = crc32.Update(crc32.Update(sum, table, key), table, value)
				return bucket(tx, "rows", "v").Put(key, binary.BigEndian.AppendUint32(value, sum))
			},
			want: []want{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a row without a table": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "rows", "w").Put([]byte("x"), []byte("1234567")) },
			want:   []want{{kind: boltstore.DamagedRow, view: "w"}},
		},
		"a changed checkpoint": {
			damage: func(tx *bolt.Tx) error { return flip(bucket(tx, "checkpoints"), []byte("v")) },
			want:   []want{{kind: boltstore.DamagedCheckpoint, view: "v"}},
		},
		"a checkpoint beyond the head": {
			damage: func(tx *bolt.Tx) error {
				return errors.Join(bucket(tx, "log").Delete(logKey(12)), bucket(tx, "log").Delete(logKey(11)))
			},
			reindex: true,
			want:    []want{{kind: boltstore.DamagedCheckpoint, view: "v"}, {kind: boltstore.DamagedCheckpoint, view: "w"}},
		},
		"rows without a checkpoint": {
			damage: func(tx *bolt.Tx) error { return bucket(tx, "checkpoints").Delete([]byte("w")) },
			want:   []want{{kind: boltstore.StrayRow, view: "w"}},
		},
		"another program's bucket": {
			damage: func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("users")); return err },
			want:   []want{{kind: boltstore.StrayBucket}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := verifiable(t)
			writeIndex(t, path)
			edit(t, path, tt.damage)
			if tt.reindex {
				edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("index")) })
				s, err := boltstore.Open(path, nil)
				require.NoError(t, err)
				require.NoError(t, s.Close())
			}
			v := findings(t, path)
			var got []want
			for _, f := range v.Findings {
				got = append(got, want{f.Kind, f.Position, f.View})
			}
			require.Equal(t, tt.want, got, "%v", v.Findings)
			require.False(t, v.OK())
		})
	}
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

// The description is checked by Open; here it is damaged afterwards.
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

// Whatever page is overwritten, Verify ends, does not panic, and what it counts
// and finds adds up to the log.
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
	require.Less(t, large, 10, "the walk does not go on behind a damaged page")
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

// openDamaged opens a file that is damaged: it is not verified at the end.
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
