package boltstore_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

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
