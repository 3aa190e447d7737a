package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// wanted is a finding without its text.
type wanted struct {
	kind     boltstore.FindingKind
	position eventstore.Position
	view     eventstore.ViewID
}

// damageCase damages the log that verifiable makes.
type damageCase struct {
	damage  func(tx *bolt.Tx) error
	reindex bool // the index is then made from the damaged log
	want    []wanted
}

// requireFound damages a log in each way and compares what Verify finds.
func requireFound(t *testing.T, tests map[string]damageCase) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := verifiable(t)
			writeIndex(t, path)
			edit(t, path, tt.damage)
			if tt.reindex {
				edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) })
				s, err := boltstore.Open(path, nil)
				require.NoError(t, err)
				require.NoError(t, s.Close())
			}
			v := findings(t, path)
			var got []wanted
			for _, f := range v.Findings {
				got = append(got, wanted{f.Kind, f.Position, f.View})
			}
			require.Equal(t, tt.want, got, "%v", v.Findings)
			require.False(t, v.OK())
		})
	}
}

// bucketIn returns a bucket inside buckets.
func bucketIn(tx *bolt.Tx, names ...string) *bolt.Bucket {
	b := tx.Bucket([]byte(names[0]))
	for _, name := range names[1:] {
		b = b.Bucket([]byte(name))
	}
	return b
}

func logKey(p eventstore.Position) []byte {
	key := record.Key(p)
	return key[:]
}

// deleteRecords deletes what the log has under the keys of positions.
func deleteRecords(tx *bolt.Tx, list ...eventstore.Position) (err error) {
	for _, p := range list {
		err = errors.Join(err, bucketIn(tx, "log").Delete(logKey(p)))
	}
	return err
}

// copyValue puts a copy of the value under one key under another.
func copyValue(into *bolt.Bucket, to []byte, from *bolt.Bucket, key []byte) error {
	return into.Put(to, bytes.Clone(from.Get(key)))
}

// rewrite replaces a record by another whole one, as if it had been written so.
func rewrite(tx *bolt.Tx, p eventstore.Position, change func(r *record.Record)) error {
	return errors.Join(replace(tx, p, change), rechain(tx))
}

// replace replaces a record by another whole one.
func replace(tx *bolt.Tx, p eventstore.Position, change func(r *record.Record)) error {
	log := bucketIn(tx, "log")
	r, err := record.Decode(seedOf(tx), p, log.Get(logKey(p)))
	if err != nil {
		return err
	}
	change(&r)
	e := &r.Event
	rec := record.Append(nil, &eventstore.NewEvent{Stream: e.Stream, ID: e.ID, Type: e.Type, Data: e.Data, Tags: e.Tags}, r.Place, r.Mark)
	record.Seal(rec, seedOf(tx), r.Before, p, e.Version, e.Recorded)
	return log.Put(logKey(p), rec)
}

// rechain gives all records, which are single values, the running checksums that they have
// now, and the head as well: as if they had been written like that.
func rechain(tx *bolt.Tx) error {
	var head logfile.Head
	log := bucketIn(tx, "log")
	sealed := make(map[eventstore.Position][]byte)
	err := log.ForEach(func(key, value []byte) error {
		head.Position, _ = record.ParseKey(key)
		rec := bytes.Clone(value)
		head.Chain = record.Reseal(rec, seedOf(tx), head.Chain, head.Position)
		sealed[head.Position] = rec
		return nil
	})
	for p, rec := range sealed {
		err = errors.Join(err, log.Put(logKey(p), rec))
	}
	return errors.Join(err, logfile.PutHead(pages.Write(tx), seedOf(tx), head))
}

// rewriting is rewrite as the damage of a damageCase.
func rewriting(p eventstore.Position, change func(r *record.Record)) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error { return rewrite(tx, p, change) }
}

// retag replaces a record by one with other tags; the index does not follow.
func retag(tx *bolt.Tx, p eventstore.Position, tags ...eventstore.Tag) error {
	return rewrite(tx, p, func(r *record.Record) { r.Event.Tags = tags })
}

func TestVerify_FindsDamagedRecords(t *testing.T) {
	requireFound(t, map[string]damageCase{
		"a changed record": {
			damage: func(tx *bolt.Tx) error { return flip(bucketIn(tx, "log"), logKey(7)) },
			want:   []wanted{{kind: boltstore.DamagedRecord, position: 7}},
		},
		"the record of another position": {
			damage: func(tx *bolt.Tx) error {
				log := bucketIn(tx, "log")
				return copyValue(log, logKey(2), log, logKey(3))
			},
			want: []wanted{{kind: boltstore.DamagedRecord, position: 2}},
		},
		"missing records": {
			damage: func(tx *bolt.Tx) error { return deleteRecords(tx, 2, 3, 11) },
			want:   []wanted{{kind: boltstore.MissingRecord, position: 2}, {kind: boltstore.MissingRecord, position: 11}},
		},
		"the first record is missing": {
			damage: func(tx *bolt.Tx) error { return deleteRecords(tx, 1) },
			want:   []wanted{{kind: boltstore.MissingRecord, position: 1}},
		},
		"a key that is not a position": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "log").Put(append(logKey(3), 0), []byte("x")) },
			want:   []wanted{{kind: boltstore.StrayRecord}},
		},
		"position 0": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "log").Put(logKey(0), []byte("x")) },
			want:   []wanted{{kind: boltstore.StrayRecord}},
		},
	})
}

func TestVerify_FindsRecordsThatDoNotFit(t *testing.T) {
	requireFound(t, map[string]damageCase{
		"a place in the commit": {
			damage: rewriting(8, func(r *record.Record) { r.Place.I = 3 }),
			want:   []wanted{{kind: boltstore.BrokenCommit, position: 8}, {kind: boltstore.BrokenCommit, position: 9}},
		},
		"a commit without its end": {
			damage: rewriting(12, func(r *record.Record) { r.Place.N = 2 }),
			want:   []wanted{{kind: boltstore.BrokenCommit, position: 12}},
		},
		"a commit recorded at two times": {
			damage: rewriting(10, func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(1) }),
			want:   []wanted{{kind: boltstore.BrokenCommit, position: 10}},
		},
		"an earlier time": {
			damage: rewriting(11, func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(-time.Hour) }),
			want:   []wanted{{kind: boltstore.DecreasingTime, position: 11}},
		},
		"a version twice": {
			damage:  rewriting(4, func(r *record.Record) { r.Event.Version = 3 }),
			reindex: true,
			want:    []wanted{{kind: boltstore.BrokenStream, position: 4}, {kind: boltstore.BrokenStream, position: 6}},
		},
		"a version without a stream": {
			damage:  rewriting(11, func(r *record.Record) { r.Event.Version = 3 }),
			reindex: true,
			want:    []wanted{{kind: boltstore.BrokenStream, position: 11}},
		},
		"an event instead of another": {
			damage: func(tx *bolt.Tx) error {
				log := bucketIn(tx, "log")
				rec := bytes.Clone(log.Get(logKey(11)))
				rec[20]++ // of its id
				r, err := record.Decode(seedOf(tx), 10, log.Get(logKey(10)))
				record.Reseal(rec, seedOf(tx), r.Chain(r.Before), 11)
				return errors.Join(err, log.Put(logKey(11), rec))
			},
			want: []wanted{{kind: boltstore.BrokenChain, position: 12}},
		},
		"a key twice": {
			damage:  rewriting(12, func(r *record.Record) { r.Key = "five" }),
			reindex: true,
			want:    []wanted{{kind: boltstore.RepeatedKey, position: 12}},
		},
	})
}

func TestVerify_FindsADamagedIndex(t *testing.T) {
	requireFound(t, map[string]damageCase{
		"a changed filter": {
			damage: func(tx *bolt.Tx) error { return flip(bucketIn(tx, "index"), runKeys(tx, true)[0]) },
			want:   []wanted{{kind: boltstore.IndexEntry, position: 1}},
		},
		"a missing posting": {
			damage: func(tx *bolt.Tx) error { return retag(tx, 3, "all", "n:0", "n:6") },
			want:   []wanted{{kind: boltstore.IndexEntry, position: 3}},
		},
		"a posting too many": {
			damage: func(tx *bolt.Tx) error { return retag(tx, 3, "all") },
			want:   []wanted{{kind: boltstore.IndexEntry, position: 3}},
		},
		"a posting instead of another": {
			damage: func(tx *bolt.Tx) error {
				return errors.Join(retag(tx, 3, "all"), retag(tx, 5, "all", "n:0", "n:6"))
			},
			want: []wanted{{kind: boltstore.IndexEntry, position: 5}, {kind: boltstore.IndexEntry, position: 3}},
		},
		"an index beyond the head": {
			damage: changeStatus(func(s *indexStatus) { s.runs[0].through = 99 }),
			want:   []wanted{{kind: boltstore.IndexEntry}},
		},
		"no index": {
			damage: func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) },
			want:   []wanted{{kind: boltstore.IndexEntry}},
		},
	})
}

// olderRow puts another whole row under a key, as if an older one had come back. The
// checksum is made by docs/reference/format.md and not by the code.
func olderRow(tx *bolt.Tx) error {
	key, value := []byte("t\x001"), []byte("older")
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum(append(bytes.Clone(tx.Bucket([]byte("yore")).Get([]byte("id"))), 'v'), table)
	sum = crc32.Update(sum, table, binary.BigEndian.AppendUint64(nil, uint64(len(key))))
	sum = crc32.Update(crc32.Update(sum, table, key), table, value)
	return bucketIn(tx, "rows", "v").Put(key, binary.BigEndian.AppendUint32(value, sum))
}

func TestVerify_FindsDamagedRows(t *testing.T) {
	row, tally := []byte("t\x001"), []byte{0}
	requireFound(t, map[string]damageCase{
		"a changed row": {
			damage: func(tx *bolt.Tx) error { return flip(bucketIn(tx, "rows", "v"), row) },
			want:   []wanted{{kind: boltstore.DamagedRow, view: "v"}},
		},
		"a row of another view": {
			damage: func(tx *bolt.Tx) error {
				return copyValue(bucketIn(tx, "rows", "w"), row, bucketIn(tx, "rows", "v"), row)
			},
			want: []wanted{{kind: boltstore.DamagedRow, view: "w"}},
		},
		"a missing row": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "rows", "v").Delete(row) },
			want:   []wanted{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a missing tally": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "rows", "v").Delete(tally) },
			want:   []wanted{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a changed tally": {
			damage: func(tx *bolt.Tx) error { return flip(bucketIn(tx, "rows", "w"), tally) },
			want:   []wanted{{kind: boltstore.MissingRow, view: "w"}},
		},
		"an older row": {
			damage: olderRow,
			want:   []wanted{{kind: boltstore.MissingRow, view: "v"}},
		},
		"a row without a table": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "rows", "w").Put([]byte("x"), []byte("1234567")) },
			want:   []wanted{{kind: boltstore.DamagedRow, view: "w"}},
		},
	})
}

func TestVerify_FindsDamagedCheckpointsAndStrayBuckets(t *testing.T) {
	requireFound(t, map[string]damageCase{
		"a changed checkpoint": {
			damage: func(tx *bolt.Tx) error { return flip(bucketIn(tx, "checkpoints"), []byte("v")) },
			want:   []wanted{{kind: boltstore.DamagedCheckpoint, view: "v"}},
		},
		"a checkpoint beyond the head": {
			damage:  func(tx *bolt.Tx) error { return errors.Join(deleteRecords(tx, 12, 11), rechain(tx)) },
			reindex: true,
			want:    []wanted{{kind: boltstore.DamagedCheckpoint, view: "v"}, {kind: boltstore.DamagedCheckpoint, view: "w"}},
		},
		"rows without a checkpoint": {
			damage: func(tx *bolt.Tx) error { return bucketIn(tx, "checkpoints").Delete([]byte("w")) },
			want:   []wanted{{kind: boltstore.StrayRow, view: "w"}},
		},
		"another program's bucket": {
			damage: func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("users")); return err },
			want:   []wanted{{kind: boltstore.StrayBucket}},
		},
	})
}
