package pages_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/pages"
)

// file returns the content of a bbolt file with trees of several levels, large
// values, buckets in buckets and free pages.
func file(t testing.TB, pageSize int) []byte {
	path := filepath.Join(t.TempDir(), "file.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: pageSize, NoSync: true})
	require.NoError(t, err)
	for round := range 3 {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("numbers"))
			require.NoError(t, err)
			for i := range 2000 {
				require.NoError(t, b.Put(fmt.Appendf(nil, "%d-%d", i, round), bytes.Repeat([]byte{1}, 40)))
			}
			outer, err := tx.CreateBucketIfNotExists([]byte("outer"))
			require.NoError(t, err)
			inner, err := outer.CreateBucketIfNotExists([]byte("inner"))
			require.NoError(t, err)
			require.NoError(t, inner.Put([]byte("large"), make([]byte, 3*pageSize)))
			for i := range 100 {
				require.NoError(t, inner.Put(fmt.Append(nil, i), make([]byte, 30)))
			}
			small, err := outer.CreateBucketIfNotExists([]byte("small"))
			require.NoError(t, err)
			return small.Put([]byte("k"), []byte("v"))
		}))
	}
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		cursor := tx.Bucket([]byte("numbers")).Cursor()
		for key, _ := cursor.First(); bytes.HasPrefix(key, []byte("1")); key, _ = cursor.First() {
			require.NoError(t, cursor.Delete())
		}
		return nil
	}))
	require.NoError(t, db.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func inspect(content []byte) (pages.State, error) {
	return pages.Inspect(bytes.NewReader(content), int64(len(content)))
}

// problems returns what Check reports of a file, "page: problem".
func problems(t testing.TB, content []byte) (all []string) {
	state, err := inspect(content)
	require.NoError(t, err)
	err = pages.Check(bytes.NewReader(content), state.Meta, pages.CheckOptions{}, func(f pages.Finding) {
		all = append(all, fmt.Sprintf("%d: %s", f.Page, f.Problem))
	})
	if err != nil {
		all = append(all, err.Error())
	}
	return all
}

func TestInspect_ReadsTheNewestMetaPage(t *testing.T) {
	for _, size := range []int{1024, 4096, 16384} {
		content := file(t, size)
		whole, err := inspect(content)
		require.NoError(t, err)
		require.Empty(t, whole.Damaged)
		require.EqualValues(t, size, whole.PageSize)
		require.Empty(t, problems(t, content))

		newest := int(whole.TxID%2) * size
		for _, offset := range []int{newest, size - newest} {
			damaged := bytes.Clone(content)
			damaged[offset+16+50] ^= 1
			state, err := inspect(damaged)
			require.NoError(t, err)
			require.Contains(t, state.Damaged, "checksum")
			require.EqualValues(t, size, state.PageSize)
			want := whole.TxID
			if offset == newest {
				want--
			}
			require.Equal(t, want, state.TxID)
		}
	}
}

func TestInspect_RefusesOtherFiles(t *testing.T) {
	const size = 4096
	content := file(t, size)
	change := func(at int, with ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], with); return b }
	}
	both := func(at int, with ...byte) func([]byte) []byte {
		return func(b []byte) []byte { return change(size+at, with...)(change(at, with...)(b)) }
	}
	tests := map[string]struct {
		damage func([]byte) []byte
		want   error
		says   string
	}{
		"nothing":             {func([]byte) []byte { return nil }, pages.ErrForeign, ""},
		"a few bytes":         {func(b []byte) []byte { return b[:50] }, pages.ErrForeign, ""},
		"no mark":             {both(16, 1, 2, 3), pages.ErrForeign, ""},
		"both damaged":        {both(60, 0xaa), pages.ErrDamaged, "both meta pages"},
		"one without mark":    {func(b []byte) []byte { return both(60, 0xaa)(change(16, 1)(b)) }, pages.ErrDamaged, "both meta pages"},
		"another version":     {both(20, 9), pages.ErrDamaged, "version 9"},
		"only the meta pages": {func(b []byte) []byte { return b[:2*size] }, pages.ErrDamaged, "cut short"},
		"a byte too few": {func(b []byte) []byte {
			state, _ := inspect(b)
			return b[:state.HighWater*size-1]
		}, pages.ErrDamaged, "cut short"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := inspect(tt.damage(bytes.Clone(content)))
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

// TestCheck_FindsDamagedHeaders changes each field of each page's header.
func TestCheck_FindsDamagedHeaders(t *testing.T) {
	const size = 1024
	content := file(t, size)
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	require.NotEmpty(t, free)
	unused := map[uint64]bool{}
	for _, id := range free {
		unused[id] = true
	}
	checked := 0
	for id := uint64(2); id < state.HighWater; id++ {
		at := int(id) * size
		if unused[id] || binary.NativeEndian.Uint64(content[at:]) != id { // free, or overflow
			continue
		}
		checked++
		for _, field := range []int{0, 7, 8, 9, 15} { // parts of id, flags and overflow
			damaged := bytes.Clone(content)
			damaged[at+field] ^= 0x40
			require.NotEmpty(t, problems(t, damaged), "page %d, byte %d", id, field)
		}
	}
	require.Greater(t, checked, 100)
}

// TestCheck_FindsLeavesWithoutElements empties each leaf.
func TestCheck_FindsLeavesWithoutElements(t *testing.T) {
	const size = 1024
	content := file(t, size)
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	emptied := 0
	for id := uint64(2); id < state.HighWater; id++ {
		page := content[int(id)*size:][:size]
		if slices.Contains(free, id) || id == state.Root || binary.NativeEndian.Uint64(page) != id || page[8] != 2 {
			continue
		}
		emptied++
		count := binary.NativeEndian.Uint16(page[10:])
		binary.NativeEndian.PutUint16(page[10:], 0)
		require.Contains(t, problems(t, content), fmt.Sprintf("%d: is a leaf of nothing", id))
		binary.NativeEndian.PutUint16(page[10:], count)
	}
	require.Greater(t, emptied, 100)
}

// branchProblems returns what Check with Branches reports of a file.
func branchProblems(t testing.TB, content []byte) (all []pages.Finding) {
	state, err := inspect(content)
	require.NoError(t, err)
	require.NoError(t, pages.Check(bytes.NewReader(content), state.Meta, pages.CheckOptions{Branches: true}, func(f pages.Finding) { all = append(all, f) }))
	return all
}

// TestCheck_Branches_FindsEveryChange changes each byte in use of some
// branch pages.
func TestCheck_Branches_FindsEveryChange(t *testing.T) {
	const size = 1024
	content := file(t, size)
	require.Empty(t, branchProblems(t, content))
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	branches := 0
	for id := uint64(2); id < state.HighWater; id++ {
		page := content[int(id)*size:][:size]
		if slices.Contains(free, id) || binary.NativeEndian.Uint64(page) != id || page[8] != 1 {
			continue
		}
		branches++
		count := int(binary.NativeEndian.Uint16(page[10:]))
		for at := range 16 + 16*count {
			for _, bit := range []byte{1, 0x80} {
				page[at] ^= bit
				require.NotEmpty(t, branchProblems(t, content), "page %d, byte %d, bit %x, of %d elements", id, at, bit, count)
				page[at] ^= bit
			}
		}
	}
	require.Greater(t, branches, 5)
}

// TestCheck_FindsPagesThatAreFreeAndInUse adds each page that is in use to the list
// of free pages.
func TestCheck_FindsPagesThatAreFreeAndInUse(t *testing.T) {
	const size = 1024
	content := file(t, size)
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	list := int(state.Freelist)*size + 16
	for i := range free {
		low, high := uint64(2), state.HighWater
		if i > 0 {
			low = free[i-1] + 1
		}
		if i < len(free)-1 {
			high = free[i+1]
		}
		for id := low; id < high; id++ {
			if id == free[i] || id == state.Freelist {
				continue
			}
			binary.NativeEndian.PutUint64(content[list+8*i:], id)
			require.NotEmpty(t, problems(t, content), "page %d", id)
			require.NotEmpty(t, branchProblems(t, content), "page %d", id)
		}
		binary.NativeEndian.PutUint64(content[list+8*i:], free[i])
	}
	binary.NativeEndian.PutUint64(content[list:], 1)
	require.Contains(t, problems(t, content)[0], "out of place")
}

// TestCheck_EndsInALoop has a branch whose child is itself.
func TestCheck_EndsInALoop(t *testing.T) {
	const size = 1024
	content := file(t, size)
	state, err := inspect(content)
	require.NoError(t, err)
	for id := uint64(2); id < state.HighWater; id++ {
		page := content[int(id)*size:][:size]
		if binary.NativeEndian.Uint64(page) == id && page[8] == 1 {
			child := binary.NativeEndian.Uint64(page[16+8:])
			binary.NativeEndian.PutUint64(page[16+8:], id)
			all := branchProblems(t, content)
			binary.NativeEndian.PutUint64(page[16+8:], child)
			if slices.ContainsFunc(all, func(f pages.Finding) bool { return f.Problem == "is in use twice" }) {
				return
			}
		}
	}
	require.Fail(t, "no loop was found")
}

// TestCheck_Branches_FindsALeafAmongBranches has a branch that leads past another
// branch to its first leaf, and so leaves out the other leaves.
func TestCheck_Branches_FindsALeafAmongBranches(t *testing.T) {
	const size = 1024
	content := file(t, size)
	page := func(id uint64) []byte { return content[int(id)*size:][:size] }
	isBranch := func(id uint64) bool { return binary.NativeEndian.Uint64(page(id)) == id && page(id)[8] == 1 }
	child := func(id uint64, i int) []byte { return page(id)[16+16*i+8:] }
	state, err := inspect(content)
	require.NoError(t, err)
	free, err := pages.Freelist(bytes.NewReader(content), state.Meta)
	require.NoError(t, err)
	found := 0
	for id := uint64(2); id < state.HighWater; id++ {
		if !isBranch(id) || slices.Contains(free, id) {
			continue
		}
		for i := range int(binary.NativeEndian.Uint16(page(id)[10:])) {
			lower := binary.NativeEndian.Uint64(child(id, i))
			if !isBranch(lower) {
				break
			}
			found++
			copy(child(id, i)[:8], child(lower, 0))
			require.NotEmpty(t, branchProblems(t, content), "page %d, child %d", id, i)
			binary.NativeEndian.PutUint64(child(id, i), lower)
		}
	}
	require.Greater(t, found, 2)
	require.Empty(t, branchProblems(t, content))
}

// TestCheck_NamesTheBucketAndLeavesOutOne damages a tree of one bucket.
func TestCheck_NamesTheBucketAndLeavesOutOne(t *testing.T) {
	content := file(t, 1024)
	state, err := inspect(content)
	require.NoError(t, err)
	content = bytes.ReplaceAll(content, []byte("large"), []byte("!arge")) // in bucket outer, inner; now out of order
	buckets := func(ignore ...string) (names []string) {
		require.NoError(t, pages.Check(bytes.NewReader(content), state.Meta, pages.CheckOptions{Ignore: ignore}, func(f pages.Finding) {
			names = append(names, f.Bucket)
		}))
		return names
	}
	require.Contains(t, buckets(), "outer")
	require.NotContains(t, buckets(), "numbers")
	require.NotContains(t, buckets("outer"), "outer")
}

// TestCheck_FindsDamageInABucketWithinAPage changes each byte of the header and the
// element tables of an inline bucket.
func TestCheck_FindsDamageInABucketWithinAPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "small.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		small, err := tx.CreateBucket([]byte("small bucket"))
		require.NoError(t, err)
		require.NoError(t, small.Put([]byte("k1"), []byte("v")))
		return small.Put([]byte("k2"), []byte("v"))
	}))
	require.NoError(t, db.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, problems(t, content))
	inline := bytes.LastIndex(content, []byte("small bucket")) + len("small bucket") + 16
	for _, at := range []int{8, 9, 10, 11, 16, 19, 20, 23, 24, 27, 28, 31, 32, 36, 40, 43, 44, 47} {
		content[inline+at] ^= 0x10
		require.NotEmpty(t, problems(t, content), "byte %d", at)
		require.NotEmpty(t, branchProblems(t, content), "byte %d", at)
		content[inline+at] ^= 0x10
	}
}

func TestCheck_EndsWhenInterrupted(t *testing.T) {
	content := file(t, 4096)
	state, err := inspect(content)
	require.NoError(t, err)
	stop := fmt.Errorf("stop")
	err = pages.Check(bytes.NewReader(content), state.Meta, pages.CheckOptions{Interrupted: func() error { return stop }}, func(pages.Finding) {})
	require.ErrorIs(t, err, stop)
}

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	read int
}

func (c *counted) ReadAt(b []byte, offset int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, offset)
	c.read += n
	return n, err
}

// TestCheck_ReadsLittleOfDamagedPages damages pages that come after a large one.
func TestCheck_ReadsLittleOfDamagedPages(t *testing.T) {
	const size = 1024
	path := filepath.Join(t.TempDir(), "file.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{PageSize: size, NoSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("numbers"))
		require.NoError(t, err)
		for i := range 2000 {
			require.NoError(t, b.Put(fmt.Appendf(nil, "%04d", i), make([]byte, 40)))
		}
		return b.Put([]byte("0000-large"), make([]byte, 1000*size))
	}))
	require.NoError(t, db.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := 2 * size; at < len(content); at += size {
		flags, count := binary.NativeEndian.Uint16(content[at+8:]), binary.NativeEndian.Uint16(content[at+10:])
		if flags == 2 && count > 5 && binary.NativeEndian.Uint32(content[at+12:]) == 0 { // a leaf of one page
			content[at] ^= 0x40 // now the header names another page
		}
	}
	state, err := inspect(content)
	require.NoError(t, err)
	reader, damaged := &counted{ReaderAt: bytes.NewReader(content)}, 0
	require.NoError(t, pages.Check(reader, state.Meta, pages.CheckOptions{}, func(pages.Finding) { damaged++ }))
	require.Greater(t, damaged, 50)
	require.Less(t, reader.read, 3*len(content))
}

// FuzzCheck changes bytes of a file. Check must end without a panic.
func FuzzCheck(f *testing.F) {
	content := file(f, 1024)
	f.Add(uint32(16), uint64(1), uint32(5000), uint64(7))
	f.Add(uint32(2048), uint64(1<<63), uint32(3000), uint64(0xff))
	f.Fuzz(func(_ *testing.T, at uint32, with uint64, also uint32, and uint64) {
		damaged := bytes.Clone(content)
		for offset, value := range map[uint32]uint64{at: with, also: and} {
			o := int(offset) % (len(damaged) - 8)
			binary.NativeEndian.PutUint64(damaged[o:], value)
		}
		state, err := inspect(damaged)
		if err != nil {
			return
		}
		_ = pages.Check(bytes.NewReader(damaged), state.Meta, pages.CheckOptions{}, func(pages.Finding) {})
		_ = pages.Check(bytes.NewReader(damaged), state.Meta, pages.CheckOptions{Branches: true}, func(pages.Finding) {})
	})
}
