package logfile_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/logfile"
)

// readFile is a file of so many bytes that notes what is read of it.
type readFile struct {
	size  int64
	reads [][2]int64 // from, to
}

func (f *readFile) ReadAt(b []byte, at int64) (int, error) {
	n := min(int64(len(b)), f.size-at)
	if n <= 0 {
		return 0, io.EOF
	}
	f.reads = append(f.reads, [2]int64{at, at + n})
	if n < int64(len(b)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// end is where the last read ended. Each must begin where the one before it ended.
func (f *readFile) end(t *testing.T) (end int64) {
	for i, read := range f.reads {
		require.True(t, i == 0 || read[0] == end, "read %d is of %v, behind %d", i, read, end)
		end = read[1]
	}
	return end
}

// readAhead returns what a scan calls with the offset and size of the value that it
// is at, and the end of the file. cached reports what is in the page cache.
func readAhead(file io.ReaderAt, cached func(from, size int64) bool) func(at, size, end int64) {
	r := &logfile.ReadAhead{File: file}
	return func(at, size, end int64) { r.Forward(at, size, end, cached) }
}

func TestReadAhead(t *testing.T) {
	const (
		page     = 100 << 10 // of the scan
		farthest = 1<<20 + 128<<10
		size     = 64 << 20
	)

	nothing := func(int64, int64) bool { return false }

	t.Run("a long scan", func(t *testing.T) {
		file := &readFile{size: size}
		ahead := readAhead(file, nothing)
		for at := int64(0); at < size; at += page {
			ahead(at, 400, size)
			end := file.end(t)
			require.GreaterOrEqual(t, end, min(at+page, size), "read when the scan is at %d", at)
			require.LessOrEqual(t, end, min(at+farthest, size), "read when the scan is at %d", at)
		}
		require.EqualValues(t, size, file.end(t))
	})

	t.Run("a scan of what is in the page cache in part", func(t *testing.T) {
		const from = 10 << 20
		file := &readFile{size: size}
		ahead := readAhead(file, func(at, size int64) bool { return at != from })
		for at := int64(0); at < size; at += page {
			ahead(at, 400, size)
		}
		require.EqualValues(t, from, file.reads[0][0])
		require.EqualValues(t, size, file.end(t))
	})

	t.Run("a scan that ends soon", func(t *testing.T) {
		file := &readFile{size: size}
		readAhead(file, nothing)(page, 400, size)
		require.Len(t, file.reads, 1)
	})

	t.Run("a large value", func(t *testing.T) {
		file := &readFile{size: size}
		readAhead(file, nothing)(page, 16<<20, size)
		require.GreaterOrEqual(t, file.end(t), int64(page+16<<20))
	})

	t.Run("pages that are larger than what was read at first", func(t *testing.T) {
		file := &readFile{size: size}
		ahead := readAhead(file, nothing)
		for at := int64(0); at < size; at += 1 << 20 {
			file.reads = nil
			if ahead(at, 400, size); at > 0 && at < size-1<<20 {
				require.GreaterOrEqual(t, file.end(t), at+1<<20)
			}
		}
	})

	t.Run("a part that lies elsewhere", func(t *testing.T) {
		file := &readFile{size: size}
		ahead := readAhead(file, nothing)
		ahead(0, 400, size)
		for _, at := range []int64{32 << 20, 8 << 20} {
			file.reads = nil
			ahead(at, 400, size)
			require.Equal(t, at, file.reads[0][0])
			require.GreaterOrEqual(t, file.end(t), at+page)
		}
	})

	t.Run("a file that was cut short", func(t *testing.T) {
		file := &readFile{size: page}
		readAhead(file, nothing)(0, 400, size)
		require.EqualValues(t, page, file.end(t))
	})
}
