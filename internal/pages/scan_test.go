package pages_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/pages"
)

// scannable returns the bytes of a file with a bucket of many keys, a bucket of few,
// and one of large values.
func scannable(t *testing.T) (content []byte, state pages.State) {
	path := filepath.Join(t.TempDir(), "file")
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	for round := range 3 { // leaves free pages
		require.NoError(t, db.Update(func(tx *bolt.Tx) error { return fillBuckets(tx, round) }))
	}
	require.NoError(t, db.Close())
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	state, err = pages.Inspect(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	return content, state
}

func fillBuckets(tx *bolt.Tx, round int) error {
	for _, bucket := range []struct {
		name        string
		keys, value int
	}{{"many", 300, 20}, {"large", 21, 10_000}, {"few", 1, round + 1}} {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket.name))
		if err != nil {
			return err
		}
		for i := range bucket.keys {
			if err := b.Put(fmt.Appendf(nil, "%s-%04d", bucket.name, i), bytes.Repeat([]byte{byte(i)}, bucket.value)); err != nil {
				return err
			}
		}
	}
	return nil
}

func goOn() error { return nil }

func walk(t *testing.T, content []byte, meta pages.Meta, bucket string) (keys []string, end bool) {
	end, err := pages.Walk(bytes.NewReader(content), meta, bucket, goOn, func(key, _ []byte) error {
		keys = append(keys, string(key))
		return nil
	})
	require.NoError(t, err)
	return keys, end
}

func TestWalk_VisitsABucketInOrder(t *testing.T) {
	content, state := scannable(t)
	for bucket, n := range map[string]int{"many": 300, "large": 21, "few": 1} {
		keys, end := walk(t, content, state.Meta, bucket)
		require.True(t, end)
		require.Len(t, keys, n)
		for i, key := range keys {
			require.Equal(t, fmt.Sprintf("%s-%04d", bucket, i), key)
		}
	}
	keys, end := walk(t, content, state.Meta, "none")
	require.Empty(t, keys)
	require.False(t, end)

	stop := errors.New("stop")
	_, err := pages.Walk(bytes.NewReader(content), state.Meta, "many", func() error { return stop }, nil)
	require.ErrorIs(t, err, stop)
	_, err = pages.Walk(bytes.NewReader(content), state.Meta, "many", goOn, func([]byte, []byte) error { return stop })
	require.ErrorIs(t, err, stop)
}

// TestWalk_GoesOnBehindDamage damages each page or cuts the file there. Walk must
// end, and must report whether it read the end.
func TestWalk_GoesOnBehindDamage(t *testing.T) {
	content, state := scannable(t)
	size := int(state.PageSize)
	short := 0
	for page := 2; page < int(state.HighWater); page++ {
		for _, fill := range []byte{0, 0x5a, 0xff} {
			damaged := bytes.Clone(content)
			copy(damaged[page*size:], bytes.Repeat([]byte{fill}, size))
			keys, end := walk(t, damaged, state.Meta, "many")
			require.Equal(t, end, len(keys) > 0 && keys[len(keys)-1] == "many-0299")
			if end && len(keys) < 300 {
				short++
			}
		}
		walk(t, content[:page*size+100], state.Meta, "large")
	}
	require.Positive(t, short, "no page was lost in the middle")
}

// scan returns what Scan finds of the buckets of scannable.
func scan(t *testing.T, content []byte, pageSize uint32) map[string][]byte {
	found := map[string][]byte{}
	err := pages.Scan(bytes.NewReader(content), int64(len(content)), int(pageSize), goOn, func(e pages.Element) (bool, error) {
		require.Equal(t, content[e.Offset:][:len(e.Value)], e.Value)
		size, known := map[string]int{"many": 20, "large": 10_000, "few": 3}[strings.TrimRight(string(e.Key), "-0123456789")]
		if !known || len(e.Value) != size { // other bytes may look like an element
			return false, nil
		}
		found[string(e.Key)] = bytes.Clone(e.Value)
		return true, nil
	})
	require.NoError(t, err)
	return found
}

func TestScan_FindsEveryElement(t *testing.T) {
	content, state := scannable(t)
	size := int(state.PageSize)
	found := scan(t, content, state.PageSize)
	require.Equal(t, 300+21+1, len(found))
	require.True(t, bytes.Equal(bytes.Repeat([]byte{20}, 10_000), found["large-0020"]))

	noHeaders := bytes.Clone(content)
	for page := range len(noHeaders) / size {
		clear(noHeaders[page*size : page*size+16]) // leaves only the elements
	}
	again := scan(t, noHeaders, state.PageSize)
	for key, value := range found { // bytes of large values were cleared
		require.True(t, bytes.Equal(value, again[key]) || strings.HasPrefix(key, "large"), key)
	}

	stop := errors.New("stop")
	err := pages.Scan(bytes.NewReader(content), int64(len(content)), size, func() error { return stop }, nil)
	require.ErrorIs(t, err, stop)
	for cut := 0; cut < len(content); cut += 7777 {
		scan(t, content[:cut], state.PageSize)
	}
}

func TestPageSizes_HasEachOnce(t *testing.T) {
	sizes := pages.PageSizes()
	require.Equal(t, 4096, sizes[0])
	slices.Sort(sizes)
	require.Equal(t, slices.Compact(slices.Clone(sizes)), sizes)
	require.Equal(t, []int{1 << 10, 1 << 24}, []int{sizes[0], sizes[len(sizes)-1]})
}

// FuzzScan: Scan and Walk must end on any bytes, and return bytes of the file.
func FuzzScan(f *testing.F) {
	f.Add(make([]byte, 4096))
	f.Add(bytes.Repeat([]byte{2, 0, 0, 0, 0, 0, 0, 0}, 600))
	f.Fuzz(func(t *testing.T, content []byte) {
		const size = 1024
		err := pages.Scan(bytes.NewReader(content), int64(len(content)), size, goOn, func(e pages.Element) (bool, error) {
			require.True(t, bytes.Equal(content[e.Offset:][:len(e.Value)], e.Value)) // nil equals empty here
			return len(e.Key)%2 == 0, nil
		})
		require.NoError(t, err)
		meta := pages.Meta{PageSize: size, Root: 2, HighWater: uint64(len(content))/size + 2}
		_, err = pages.Walk(bytes.NewReader(content), meta, "", goOn, func(_, _ []byte) error { return nil })
		require.NoError(t, err)
	})
}
