package logfile_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/logfile"
)

// readFile is a file of size bytes that notes what is read of it.
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

// readAhead returns a function that a scan calls with the offset and size of its value,
// and the size of the file. cached reports what is in the page cache.
func readAhead(file io.ReaderAt, cached func(from, size int64) bool) func(at, size, end int64) {
	r := logfile.NewReadAhead(file, false)
	return func(at, size, end int64) { r.Forward(at, size, end, cached) }
}

const (
	scanPage = 100 << 10 // bytes that the scan goes on at a time
	farthest = 1<<20 + 128<<10
	fileSize = 64 << 20
)

// nothing is cached.
func nothing(int64, int64) bool { return false }

func TestReadAhead_OfALongScan(t *testing.T) {
	file := &readFile{size: fileSize}
	ahead := readAhead(file, nothing)
	for at := int64(0); at < fileSize; at += scanPage {
		ahead(at, 400, fileSize)
		end := file.end(t)
		require.GreaterOrEqual(t, end, min(at+scanPage, fileSize), "read when the scan is at %d", at)
		require.LessOrEqual(t, end, min(at+farthest, fileSize), "read when the scan is at %d", at)
	}
	require.EqualValues(t, fileSize, file.end(t))
}

func TestReadAhead_BeginsWhereTheCacheEnds(t *testing.T) {
	const from = 10 << 20
	file := &readFile{size: fileSize}
	ahead := readAhead(file, func(at, size int64) bool { return at != from })
	for at := int64(0); at < fileSize; at += scanPage {
		ahead(at, 400, fileSize)
	}
	require.EqualValues(t, from, file.reads[0][0])
	require.EqualValues(t, fileSize, file.end(t))
}

func TestReadAhead_ReadsOnePieceAtFirst(t *testing.T) {
	file := &readFile{size: fileSize}
	readAhead(file, nothing)(scanPage, 400, fileSize)
	require.Len(t, file.reads, 1)
}

func TestReadAhead_OfALargeValue(t *testing.T) {
	file := &readFile{size: fileSize}
	readAhead(file, nothing)(scanPage, 16<<20, fileSize)
	require.GreaterOrEqual(t, file.end(t), int64(scanPage+16<<20))
}

// Pages of a scan may be larger than what was read at first.
func TestReadAhead_OfLargePages(t *testing.T) {
	file := &readFile{size: fileSize}
	ahead := readAhead(file, nothing)
	for at := int64(0); at < fileSize; at += 1 << 20 {
		file.reads = nil
		if ahead(at, 400, fileSize); at > 0 && at < fileSize-1<<20 {
			require.GreaterOrEqual(t, file.end(t), at+1<<20)
		}
	}
}

func TestReadAhead_BeginsAgainElsewhere(t *testing.T) {
	file := &readFile{size: fileSize}
	ahead := readAhead(file, nothing)
	ahead(0, 400, fileSize)
	for _, at := range []int64{32 << 20, 8 << 20} {
		file.reads = nil
		ahead(at, 400, fileSize)
		require.Equal(t, at, file.reads[0][0])
		require.GreaterOrEqual(t, file.end(t), at+scanPage)
	}
}

func TestReadAhead_OfAFileThatWasCutShort(t *testing.T) {
	file := &readFile{size: scanPage}
	readAhead(file, nothing)(0, 400, fileSize)
	require.EqualValues(t, scanPage, file.end(t))
}
