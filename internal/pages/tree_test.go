package pages_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/pages"
)

// shapes is a file with buckets of all shapes: without pages, without elements, of one
// level and of many, with values of several pages, and in others.
func shapes(t testing.TB, pageSize int) *bolt.DB {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "shapes"), 0o600, &bolt.Options{PageSize: pageSize, NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for round := range 3 { // leaves free pages
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			for name, keys := range map[string]int{"empty": 0, "one": 1, "few": 5, "many": 3000} {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				require.NoError(t, err)
				for i := range keys {
					require.NoError(t, b.Put(fmt.Appendf(nil, "%d", 7*i), bytes.Repeat([]byte{byte(round)}, i%50)))
				}
			}
			outer, err := tx.CreateBucketIfNotExists([]byte("outer"))
			require.NoError(t, err)
			for i := range 40 {
				inner, err := outer.CreateBucketIfNotExists(fmt.Appendf(nil, "inner-%d", i))
				require.NoError(t, err)
				require.NoError(t, inner.Put([]byte("large"), make([]byte, 100*i*i)))
				require.NoError(t, inner.Put([]byte("small"), nil))
			}
			long, err := tx.CreateBucketIfNotExists([]byte("long")) // two keys fill a page
			require.NoError(t, err)
			for i := range 300 {
				require.NoError(t, long.Put(append(fmt.Appendf(nil, "%d", i), make([]byte, 2*pageSize)...), []byte{1}))
			}
			return nil
		}))
	}
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("many"))
		for i := range 1500 {
			require.NoError(t, b.Delete(fmt.Appendf(nil, "%d", 7*(i+i%3))))
		}
		return nil
	}))
	return db
}

// cursors are a cursor of bbolt and one of this package, over the same bucket.
type cursors struct {
	theirs *bolt.Cursor
	ours   *pages.Cursor
}

// step moves both cursors in the same way, at random, and compares what they return.
func (c cursors) step(t *testing.T, r *rand.Rand, keys [][]byte) {
	var key, value, wantKey, wantValue []byte
	switch move := r.IntN(20); {
	case move == 0:
		key, value = c.ours.First()
		wantKey, wantValue = c.theirs.First()
	case move == 1:
		key, value = c.ours.Last()
		wantKey, wantValue = c.theirs.Last()
	case move < 6:
		to := []byte("9999999")
		if len(keys) > 0 && r.IntN(20) > 0 {
			to = bytes.Clone(keys[r.IntN(len(keys))])
		}
		switch r.IntN(4) {
		case 0:
			to = append(to, 0)
		case 1:
			to[r.IntN(len(to))] ^= 1
		}
		key, value = c.ours.Seek(to)
		wantKey, wantValue = c.theirs.Seek(to)
	case move < 13:
		key, value = c.ours.Next()
		wantKey, wantValue = c.theirs.Next()
	default:
		key, value = c.ours.Prev()
		wantKey, wantValue = c.theirs.Prev()
	}
	require.True(t, bytes.Equal(wantKey, key) && (wantKey == nil) == (key == nil), "key %q, not %q", key, wantKey)
	require.True(t, bytes.Equal(wantValue, value) && (wantValue == nil) == (value == nil), "value of key %q", key)
}

// sameBucket compares a bucket as bbolt and this package see it.
func sameBucket(t *testing.T, r *rand.Rand, theirs *bolt.Bucket, ours *pages.Tree) {
	var keys [][]byte
	next := theirs.Cursor()
	wantKey, wantValue := next.First()
	for key, value := range ours.All() {
		require.Equal(t, wantKey, key)
		require.Equal(t, wantValue, value)
		keys = append(keys, key)
		if child := theirs.Bucket(key); child != nil {
			require.ErrorContains(t, damageIn(func() { ours.Get(key) }), "where a value belongs")
			sameBucket(t, r, child, ours.Bucket(key))
		} else {
			require.ErrorContains(t, damageIn(func() { ours.Bucket(key) }), "where a bucket belongs")
			require.Equal(t, theirs.Get(key), ours.Get(key))
		}
		wantKey, wantValue = next.Next()
	}
	require.Nil(t, wantKey)
	require.Nil(t, ours.Get([]byte("none")))
	require.Nil(t, ours.Bucket([]byte("none")))
	c := cursors{theirs.Cursor(), ours.Cursor()}
	for range 4*len(keys) + 50 {
		c.step(t, r, keys)
	}
}

// TestCursor_MovesLikeThatOfBbolt moves a cursor over all buckets of a file.
func TestCursor_MovesLikeThatOfBbolt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, size := range []int{1024, 4096} {
		require.NoError(t, shapes(t, size).View(func(tx *bolt.Tx) error {
			view := pages.View(tx)
			require.Equal(t, tx.ID(), view.ID())
			require.Equal(t, tx.Size(), view.Size())
			sameBucket(t, rand.New(rand.NewPCG(seed, 0)), tx.Cursor().Bucket(), view.Root())
			return nil
		}))
	}
}

func TestTx_Offset(t *testing.T) {
	db := shapes(t, 4096)
	content, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		view := pages.View(tx)
		for _, name := range []string{"few", "many"} { // few lies within a page
			for _, value := range view.Bucket([]byte(name)).All() {
				if len(value) > 0 {
					at, ok := view.Offset(value)
					require.True(t, ok)
					require.Equal(t, content[at:][:len(value)], value)
				}
			}
		}
		_, ok := view.Offset([]byte("elsewhere"))
		require.False(t, ok)
		return nil
	}))
}

// A write transaction sees the state before it.
func TestView_InAWriteTransaction(t *testing.T) {
	db := shapes(t, 4096)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		few := tx.Bucket([]byte("few"))
		require.NoError(t, few.Delete([]byte("0")))
		require.NoError(t, few.Put([]byte("1"), nil))
		before := pages.View(tx).Bucket([]byte("few"))
		require.NotNil(t, before.Get([]byte("0")))
		require.Nil(t, before.Get([]byte("1")))
		return nil
	}))
}

// damageIn runs fn and returns the damage that it meets, or nil.
func damageIn(fn func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if err, ok = r.(*pages.PageError); !ok {
				panic(r)
			}
		}
	}()
	fn()
	return nil
}

// element is an element of a bucket that may lie in others.
type element struct {
	path, value string
	isBucket    bool
}

// elements returns the elements of all buckets, or those before the damage and the damage.
// It fails the test if there are more than most.
func elements(t testing.TB, tx *pages.Tx, most int) (all []element, damage error) {
	var walk func(path string, tree *pages.Tree, depth int)
	walk = func(path string, tree *pages.Tree, depth int) {
		for key, value := range tree.All() {
			if len(all) == most {
				require.FailNow(t, "the walk does not end")
			}
			all = append(all, element{path + "/" + string(key), string(value), value == nil})
			if value != nil || depth == 4 {
				continue
			}
			if child := tree.Bucket(key); child != nil { // a search may not find what a walk has found
				walk(path+"/"+string(key), child, depth+1)
			}
		}
	}
	damage = damageIn(func() { walk("", tx.Root(), 0) })
	return all, damage
}

// trees is the content of a small file with trees of three levels and a bucket within a
// page, and the pages of these trees.
func trees(t testing.TB) (content []byte, meta pages.Meta, used []uint64) {
	path := filepath.Join(t.TempDir(), "file")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: 1024, NoSync: true})
	require.NoError(t, err)
	for round := range 4 {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			for name, keys := range map[string]int{"log": 50 * (round + 1), "rows": 100, "small": 2} {
				b, err := tx.CreateBucketIfNotExists([]byte(name))
				require.NoError(t, err)
				for i := range keys {
					if i%4 <= round {
						require.NoError(t, b.Put(fmt.Appendf(nil, "%s-%04d-%048d", name, i, i), bytes.Repeat([]byte{byte(i)}, 20+i%9)))
					}
				}
			}
			return tx.Bucket([]byte("rows")).Put([]byte("rows-5"), make([]byte, 3000))
		}))
	}
	require.NoError(t, db.Close())
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	require.Greater(t, len(free), 10)
	isFree := map[uint64]bool{state.Freelist: true}
	for _, id := range free {
		isFree[id] = true
	}
	for id := uint64(2); id < state.HighWater; id++ {
		if !isFree[id] && binary.NativeEndian.Uint64(content[id*1024:]) == id {
			used = append(used, id)
		}
	}
	return content, state.Meta, used
}
