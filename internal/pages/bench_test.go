package pages_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/pages"
)

const benchElements = 100_000

// benchTx calls fn with a transaction on a bucket of benchElements elements with keys of 8
// bytes and values of 100.
func benchTx(b *testing.B, fn func(tx *bolt.Tx, bucket *bolt.Bucket, keys [][]byte)) {
	db, err := bolt.Open(filepath.Join(b.TempDir(), "file"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	keys := make([][]byte, benchElements)
	require.NoError(b, db.Update(func(tx *bolt.Tx) error {
		bucket, err := tx.CreateBucket([]byte("bucket"))
		require.NoError(b, err)
		bucket.FillPercent = 0.9
		for i := range keys {
			keys[i] = binary.BigEndian.AppendUint64(nil, uint64(i))
			require.NoError(b, bucket.Put(keys[i], make([]byte, 100)))
		}
		return nil
	}))
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	require.NoError(b, db.View(func(tx *bolt.Tx) error {
		fn(tx, tx.Bucket([]byte("bucket")), keys)
		return nil
	}))
}

// compare measures a step with bbolt and with this package, by turns, and reports the time
// of the second as a share of that of the first. Of several rounds the fastest counts, since
// other programs may run.
func compare(b *testing.B, theirs, ours func(i int)) { compareSteps(b, 20_000, theirs, ours) }

// compareSteps is compare with a number of steps in a round.
func compareSteps(b *testing.B, steps int, theirs, ours func(i int)) {
	best := [2]time.Duration{time.Hour, time.Hour}
	for n := 0; b.Loop(); n += steps {
		for side, step := range []func(int){theirs, ours} {
			start := time.Now()
			for i := range steps {
				step(n + i)
			}
			best[side] = min(best[side], time.Since(start))
		}
	}
	each := func(side int) float64 { return float64(best[side].Nanoseconds()) / float64(steps) }
	b.ReportMetric(each(0), "ns/bbolt")
	b.ReportMetric(each(1), "ns/pages")
	b.ReportMetric(each(1)/each(0), "ratio")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkCursor_Seek(b *testing.B) {
	benchTx(b, func(tx *bolt.Tx, bucket *bolt.Bucket, keys [][]byte) {
		theirs, ours := bucket.Cursor(), pages.View(tx).Bucket([]byte("bucket")).Cursor()
		compare(b,
			func(i int) { theirs.Seek(keys[i%len(keys)]) },
			func(i int) { ours.Seek(keys[i%len(keys)]) })
	})
}

func BenchmarkTree_Get(b *testing.B) {
	benchTx(b, func(tx *bolt.Tx, bucket *bolt.Bucket, keys [][]byte) {
		tree := pages.View(tx).Bucket([]byte("bucket"))
		compare(b,
			func(i int) { bucket.Get(keys[i%len(keys)]) },
			func(i int) { tree.Get(keys[i%len(keys)]) })
	})
}

// BenchmarkView begins with the transaction, as each page of a read does.
func BenchmarkView(b *testing.B) {
	benchTx(b, func(tx *bolt.Tx, _ *bolt.Bucket, keys [][]byte) {
		compare(b,
			func(i int) { tx.Bucket([]byte("bucket")).Cursor().Seek(keys[i%len(keys)]) },
			func(i int) { pages.View(tx).Bucket([]byte("bucket")).Cursor().Seek(keys[i%len(keys)]) })
	})
}

// BenchmarkCursor_Step looks at each key, as callers do.
func BenchmarkCursor_Step(b *testing.B) {
	type cursor interface {
		First() (key, value []byte)
		Last() (key, value []byte)
		Next() (key, value []byte)
		Prev() (key, value []byte)
	}
	for _, backward := range []bool{false, true} {
		b.Run(fmt.Sprintf("backward=%v", backward), func(b *testing.B) {
			benchTx(b, func(tx *bolt.Tx, bucket *bolt.Bucket, _ [][]byte) {
				walk := func(c cursor) func(int) {
					begin, step := c.First, c.Next
					if backward {
						begin, step = c.Last, c.Prev
					}
					begin()
					sum := byte(0)
					return func(int) {
						key, _ := step()
						if key == nil {
							key, _ = begin()
						}
						sum += key[len(key)-1]
					}
				}
				compare(b, walk(bucket.Cursor()), walk(pages.View(tx).Bucket([]byte("bucket")).Cursor()))
			})
		})
	}
}

// BenchmarkWriteBucket_Put measures whole transactions, which are not durable.
func BenchmarkWriteBucket_Put(b *testing.B) {
	for _, puts := range []int{1, 100} {
		for _, random := range []bool{false, true} {
			b.Run(fmt.Sprintf("puts=%d/random=%v", puts, random), func(b *testing.B) {
				benchWrites(b, puts, random)
			})
		}
	}
}

func benchWrites(b *testing.B, puts int, random bool) {
	name := []byte("bucket")
	write := func(put func(tx *bolt.Tx) func(key, value []byte) error) func(int) {
		db, err := bolt.Open(filepath.Join(b.TempDir(), "file"), 0o600, &bolt.Options{NoSync: true, InitialMmapSize: 1 << 30})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, db.Close()) })
		require.NoError(b, db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucket(name)
			for i := range benchElements {
				require.NoError(b, bucket.Put(binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 100)))
			}
			return err
		}))
		next := uint64(benchElements)
		return func(int) {
			require.NoError(b, db.Update(func(tx *bolt.Tx) error {
				put := put(tx)
				for range puts {
					key := next
					if next++; random {
						key = rand.Uint64N(benchElements)
					}
					if err := put(binary.BigEndian.AppendUint64(nil, key), make([]byte, 100)); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	}
	compareSteps(b, 200,
		write(func(tx *bolt.Tx) func(key, value []byte) error { return tx.Bucket(name).Put }),
		write(func(tx *bolt.Tx) func(key, value []byte) error { return pages.Write(tx).Bucket(name).Put }))
}
