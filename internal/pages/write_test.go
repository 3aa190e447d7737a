package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/pages"
)

// writer is what WriteBucket and bbolt's Bucket have in common.
type writer interface {
	Get(key []byte) []byte
	Put(key, value []byte) error
	Delete(key []byte) error
	DeleteBucket(name []byte) error
}

// change makes a random change. bucket returns a bucket of both files.
func change(t *testing.T, r *rand.Rand, ours, theirs writer) {
	key := fmt.Appendf(nil, "%d", r.IntN(3000))
	switch r.IntN(4) {
	case 0:
		require.Equal(t, theirs.Get(key), ours.Get(key))
	case 1:
		require.Equal(t, theirs.Delete(key), ours.Delete(key))
	default:
		value := make([]byte, r.IntN(80))
		if r.IntN(100) == 0 {
			value = make([]byte, r.IntN(9000))
		}
		require.Equal(t, theirs.Put(key, value), ours.Put(key, value))
	}
}

// write makes random changes of both files, each in one transaction.
func write(t *testing.T, r *rand.Rand, ours *pages.WriteTx, theirs *bolt.Tx) {
	names := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	for range r.IntN(4) {
		name := names[r.IntN(len(names))]
		our, err := ours.Root().CreateBucketIfNotExists(name)
		require.NoError(t, err)
		their, err := theirs.CreateBucketIfNotExists(name)
		require.NoError(t, err)
		switch first, _ := their.Cursor().First(); r.IntN(30) {
		case 0:
			require.NoError(t, ours.Root().DeleteBucket(name))
			require.NoError(t, theirs.DeleteBucket(name))
			require.Nil(t, ours.Bucket(name))
			continue
		case 1: // most of the elements
			for key := range our.Before().All() {
				if !bytes.HasPrefix(key, []byte("7")) || r.IntN(3) == 0 {
					require.NoError(t, our.Delete(key))
					require.NoError(t, their.Delete(key))
				}
			}
		default:
			require.Equal(t, first == nil, our.Empty())
		}
		for range r.IntN(200) {
			change(t, r, our, their)
		}
	}
}

// TestWriteTx_WritesLikeBbolt makes the same changes with bbolt alone, and compares the
// files. It meets no damage.
func TestWriteTx_WritesLikeBbolt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var files [2]*bolt.DB
	for i := range files {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "file"), 0o600, &bolt.Options{PageSize: 1024, NoSync: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		files[i] = db
	}
	for range 300 {
		require.NoError(t, files[0].Update(func(ours *bolt.Tx) error {
			return files[1].Update(func(theirs *bolt.Tx) error {
				w := pages.Write(ours)
				require.Equal(t, ours.ID(), w.ID())
				write(t, r, w, theirs)
				return nil
			})
		}))
	}
	content, err := os.ReadFile(files[0].Path())
	require.NoError(t, err)
	require.Empty(t, problems(t, content))
	require.NoError(t, files[0].View(func(ours *bolt.Tx) error {
		return files[1].View(func(theirs *bolt.Tx) error {
			return theirs.ForEach(func(name []byte, b *bolt.Bucket) error {
				sameBucket(t, r, b, pages.View(ours).Bucket(name))
				return nil
			})
		})
	}))
}

func TestWriteBucket_MovesBuckets(t *testing.T) {
	db := shapes(t, 1024)
	name := []byte("many")
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		w := pages.Write(tx)
		require.NoError(t, w.Root().MoveBucket(name, w.Bucket([]byte("outer"))))
		require.Nil(t, w.Bucket(name))
		require.Nil(t, w.Bucket([]byte("outer")).Bucket(name), "it cannot be opened in this transaction")
		again, err := w.Root().CreateBucket(name)
		require.NoError(t, err)
		key, _ := again.Before().Cursor().First()
		require.Nil(t, key)
		require.Nil(t, again.Get([]byte("7")))
		return again.Put([]byte("7"), []byte("new"))
	}))
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		view := pages.View(tx)
		require.Equal(t, []byte("new"), view.Bucket(name).Get([]byte("7")))
		require.NotNil(t, view.Bucket([]byte("outer")).Bucket(name).Get([]byte("14000")))
		return nil
	}))
}

// bucketOf returns a top-level bucket. If it is missing, a damaged list of buckets is why.
func bucketOf(w *pages.WriteTx, name string) *pages.WriteBucket {
	b := w.Bucket([]byte(name))
	if b == nil {
		panic(&pages.PageError{Problem: "lacks the bucket"})
	}
	return b
}

// works are transactions on the file of trees.
var works = map[string]func(w *pages.WriteTx) error{
	"put": func(w *pages.WriteTx) error {
		for i := range 30 {
			if err := bucketOf(w, "rows").Put(fmt.Appendf(nil, "rows-%04d-new", 3*i), make([]byte, 30)); err != nil {
				return err
			}
		}
		return nil
	},
	"delete": func(w *pages.WriteTx) error {
		rows := bucketOf(w, "rows")
		for key := range rows.Before().All() {
			if strings.HasPrefix(string(key), "rows-002") || strings.HasPrefix(string(key), "rows-003") || key[len(key)-1]%3 == 0 {
				if err := rows.Delete(key); err != nil {
					return err
				}
			}
		}
		return nil
	},
	"delete all": func(w *pages.WriteTx) error {
		rows := bucketOf(w, "rows")
		for key := range rows.Before().All() {
			if err := rows.Delete(key); err != nil {
				return err
			}
		}
		if !rows.Empty() {
			return errors.New("rows are left")
		}
		return nil
	},
	"delete bucket": func(w *pages.WriteTx) error { return w.Root().DeleteBucket([]byte("rows")) },
	"append": func(w *pages.WriteTx) error {
		for i := range 20 {
			if err := bucketOf(w, "log").Put(fmt.Appendf(nil, "log-%04d", 1000+i), make([]byte, 40)); err != nil {
				return err
			}
		}
		return nil
	},
	"small": func(w *pages.WriteTx) error {
		return errors.Join(bucketOf(w, "small").Put([]byte("small-1"), nil), bucketOf(w, "small").Put([]byte("t"), make([]byte, 900)))
	},
}

// update runs a transaction on the file at path, to which it gives a content, and returns the content then.
// err is what bbolt or this package returned or panicked with.
func update(t *testing.T, path string, content []byte, work func(w *pages.WriteTx) error) (after []byte, err error) {
	require.NoError(t, os.WriteFile(path, content, 0o600))
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: smallPage, NoSync: true, NoGrowSync: true})
	require.NoError(t, err)
	func() {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v", r)
				if damage, ok := r.(error); ok && errors.Is(damage, pages.ErrDamaged) {
					err = damage
				}
			}
		}()
		err = db.Update(func(tx *bolt.Tx) error { return work(pages.Write(tx)) })
	}()
	require.NoError(t, db.Close())
	after, readErr := os.ReadFile(path)
	require.NoError(t, readErr)
	return after, err
}

// TestWriteTx_DamagedPages damages each page of all trees and changes the file. bbolt must
// take little memory, and a change that succeeds must leave the other buckets as they were.
func TestWriteTx_DamagedPages(t *testing.T) {
	content, _, used := trees(t)
	whole, roots := bucketsOf(t, content), rootsOf(content, used)
	cases, refused, panicked := 0, 0, 0
	path, most := filepath.Join(t.TempDir(), "file"), uint64(0)
	for _, id := range used {
		damaged := bytes.Clone(content)
		page := damaged[id*smallPage:][:smallPage]
		for i, d := range append(replacements(content, id), changes(page)...) {
			if i%199 != int(id)%199 && d.bit != 96 && d.name != "zeros" && d.name != "count 65535" {
				continue
			}
			d.do(page)
			for name, work := range works {
				cases++
				var before, now runtime.MemStats
				runtime.ReadMemStats(&before)
				after, err := update(t, path, damaged, work)
				runtime.ReadMemStats(&now)
				most = max(most, now.TotalAlloc-before.TotalAlloc)
				switch {
				case errors.Is(err, pages.ErrDamaged):
					refused++
				case err != nil:
					panicked++ // also errors
				case !roots[id] || !strings.HasPrefix(d.name, "page"): // else a tree may lie in two places
					requireOthers(t, whole, damaged, after, name, fmt.Sprintf("page %d, %s, %s", id, d.name, name))
				}
			}
			copy(page, content[id*smallPage:])
		}
	}
	t.Logf("%d cases, %d refused, %d panics of bbolt; at most %d KiB allocated", cases, refused, panicked, most>>10)
	require.Greater(t, refused, cases/20)
	require.Less(t, panicked, cases/100)
	require.Less(t, most, uint64(4<<20))
}

// refusal is damage that only some work meets.
type refusal struct {
	damage func(damaged []byte)
	work   func(w *pages.WriteTx) error
}

// refusals returns damage of leaves of rows, and of the bucket within a page, whose table of
// elements ends at an offset.
func refusals(content []byte, leaves []uint64, inline int64) map[string]refusal {
	page := func(damaged []byte, i int) []byte { return damaged[leaves[i]*smallPage:][:smallPage] }
	empty := func(i int) func(w *pages.WriteTx) error { // empties a leaf
		return func(w *pages.WriteTx) (err error) {
			for j := range int(order.Uint16(page(content, i)[10:])) {
				err = errors.Join(err, bucketOf(w, "rows").Delete([]byte(keyOf(page(content, i), j))))
			}
			return err
		}
	}
	largeValue := func(i int) func(damaged []byte) {
		return func(damaged []byte) { page(damaged, i)[16+15] = 0x40 } // 1 GiB
	}
	largeInline := func(damaged []byte) { damaged[inline-17] = 0x40 }
	return map[string]refusal{
		"overflow":          {func(damaged []byte) { page(damaged, 4)[12] = 2 }, empty(4)},
		"the next leaf":     {largeValue(4), empty(3)},
		"the leaf before":   {largeValue(4), empty(5)},
		"the first leaf":    {largeValue(0), empty(1)},
		"after the first":   {largeValue(1), empty(0)},
		"a branch beside":   {func(damaged []byte) { toBranch(page(damaged, 4)) }, empty(3)},
		"keys in two pages": {func(damaged []byte) { renameLast(page(damaged, 4), "rows-9") }, works["delete bucket"]},
		"a bucket in rows":  {func(damaged []byte) { page(damaged, 4)[16] = 1 }, works["delete bucket"]},
		"small, put":        {largeInline, works["small"]},
		"small, delete":     {largeInline, func(w *pages.WriteTx) error { return w.Root().DeleteBucket([]byte("small")) }},
		"elsewhere":         {largeValue(4), empty(6)},
	}
}

// TestWriteTx_RefusesDamage damages a page that a work needs, and one that it does not need.
func TestWriteTx_RefusesDamage(t *testing.T) {
	content, meta, used := trees(t)
	leaves := leavesOf(content, used, "rows-00")
	require.Greater(t, len(leaves), 8)
	tx := pages.Of(content, meta)
	first, _ := tx.Bucket([]byte("small")).Cursor().First()
	inline, ok := tx.Offset(first)
	require.True(t, ok)
	for name, tt := range refusals(content, leaves, inline) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			_, err := update(t, path, content, tt.work)
			require.NoError(t, err)
			damaged := bytes.Clone(content)
			tt.damage(damaged)
			_, err = update(t, path, damaged, tt.work)
			if name == "elsewhere" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, pages.ErrDamaged)
			}
		})
	}
}

// toBranch makes a leaf a branch with the same first key, and nothing else.
func toBranch(page []byte) {
	key := keyOf(page, 0)
	id := order.Uint64(page)
	clear(page)
	order.PutUint64(page, id)
	order.PutUint16(page[8:], 1)
	order.PutUint16(page[10:], 1)
	order.PutUint32(page[16:], 16)
	order.PutUint32(page[20:], uint32(len(key)))
	order.PutUint64(page[24:], id)
	copy(page[32:], key)
}

// renameLast changes how the last key of a leaf begins.
func renameLast(page []byte, prefix string) {
	copy(page[bytes.LastIndex(page, []byte(lastOf(page))):], prefix)
}

// TestWriteTx_DamagedFreelist damages the list of free pages while the file is open.
func TestWriteTx_DamagedFreelist(t *testing.T) {
	content, meta, _ := trees(t)
	list := int64(meta.Freelist) * smallPage
	for name, bytes := range map[string][]byte{
		"id": {0: 1}, "flags": {8: 2, 15: 0}, "count": {8: 0x10, 10: 0xff, 11: 0xfe, 15: 0},
		"overflow": {8: 0x10, 10: content[list+10], 12: 2, 15: 0}, "zeros": make([]byte, 16),
	} {
		t.Run(name, func(t *testing.T) {
			copied := append([]byte{}, content...)
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, copied, 0o600))
			db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: smallPage, NoSync: true})
			require.NoError(t, err)
			defer func() { require.NoError(t, db.Close()) }()
			tx, err := db.Begin(true)
			require.NoError(t, err)
			require.NoError(t, damageIn(func() { pages.Write(tx) }))
			if len(bytes) > 8 { // the rest of the header is whole
				order.PutUint64(bytes, meta.Freelist)
			}
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = file.WriteAt(bytes, list)
			require.NoError(t, errors.Join(err, file.Close()))
			require.ErrorContains(t, damageIn(func() { pages.Write(tx) }), "is not a list of free pages")
			require.NoError(t, tx.Rollback())
		})
	}
}

// bucketsOf returns the elements of each bucket of a file, or the damage.
func bucketsOf(t *testing.T, content []byte) map[string]string {
	state, err := inspect(content)
	require.NoError(t, err)
	all := map[string]string{}
	for _, name := range []string{"log", "rows", "small"} {
		text := new(strings.Builder)
		err := damageIn(func() {
			if tree := pages.Of(content, state.Meta).Bucket([]byte(name)); tree != nil {
				for key, value := range tree.All() {
					_, _ = fmt.Fprintf(text, "%s=%x\n", key, value)
				}
			}
		})
		if err != nil {
			_, _ = io.WriteString(text, err.Error())
		}
		all[name] = text.String()
	}
	return all
}

// requireOthers requires that a work has left the buckets that were whole, except the one
// that it changes, as they were, and has freed none of their pages.
func requireOthers(t *testing.T, whole map[string]string, before, after []byte, work, name string) {
	touched := map[string]string{"append": "log", "small": "small"}[work]
	if touched == "" {
		touched = "rows"
	}
	ignored := []string{touched}
	damaged, now := bucketsOf(t, before), bucketsOf(t, after)
	for bucket, text := range whole {
		if damaged[bucket] != text {
			ignored = append(ignored, bucket)
		} else if bucket != touched {
			require.True(t, text == now[bucket], "%s: bucket %s", name, bucket)
		}
	}
	state, err := inspect(after)
	require.NoError(t, err)
	require.NoError(t, pages.Check(bytes.NewReader(after), state.Meta, pages.CheckOptions{Ignore: ignored}, func(f pages.Finding) {
		require.False(t, f.Free, "%s: page %d %s", name, f.Page, f.Problem)
	}))
}
