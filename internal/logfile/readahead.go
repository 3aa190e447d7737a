package logfile

import (
	"io"
	"unsafe"

	"github.com/yore-es/yore/internal/pages"
)

// # Reading ahead
//
// Problem. bbolt maps its file and advises the system that it will be read at random, so
// that the system reads single pages and none ahead. That is right for queries, but a
// scan of a log that is not in the page cache would wait for the disk at every page.
//
// Steps. Records lie in the file about in the order of the log. Before a scan walks the
// map, it reads the file in order and throws the bytes away: afterwards they are in the
// page cache. The system detects sequential reads and reads further ahead on its own, in
// large pieces, while the scan works. A scan begins to read at the first piece that is
// not known to be in the page cache. From then on it reads every piece: if it left out
// those that the system has read ahead, the system would not count its reads as
// sequential any more.
//
// Backward reads are not detected. A backward scan asks the system for the pages that it
// will need, where there is a call for that.

// ReadAhead reads a file ahead of one scan. It is not safe for concurrent use.
type ReadAhead struct {
	file  io.ReaderAt
	tells bool // the system tells what is in the page cache
	begun bool
	done  int64  // the offset up to which the file was read, or, backward, down to which
	buf   []byte // for a piece; nil: none was read yet
}

// NewReadAhead returns a ReadAhead of the file. readOnly says that the process may not
// write to it: systems do not tell such a process what is in the page cache.
func NewReadAhead(file io.ReaderAt, readOnly bool) ReadAhead {
	return ReadAhead{file: file, tells: !readOnly}
}

const (
	firstLead = 64 << 10  // bytes ahead at first, and where the log goes on elsewhere in the file: it may end soon
	lead      = 1 << 20   // bytes ahead later
	aheadStep = 128 << 10 // bytes of a piece

	// Backward, the scan asks for more at once, since the system does not go on alone.
	backwardLead = 2 << 20
	backwardStep = 512 << 10 // bytes of a request; systems cut larger ones short
)

// From reads what follows a value, or precedes it, if the value lies in the mapped file.
// It must be called in the transaction of the value.
func (r *ReadAhead) From(tx *pages.Tx, value []byte, backward bool) {
	here := unsafe.Pointer(unsafe.SliceData(value))
	at, ok := tx.Offset(value)
	if !ok { // a small bucket lies inside another page, which may be a copy
		return
	}
	if backward {
		r.backward(here, at)
	} else {
		r.forward(at, int64(len(value)), tx.Size(), func(from, size int64) bool {
			return r.tells && inCache(unsafe.Add(here, int(from-at)), int(size))
		})
	}
}

// forward reads the file up to the lead of a scan whose value begins at offset at and has
// size bytes, but not beyond end. It begins with the first piece that is not cached.
func (r *ReadAhead) forward(at, size, end int64, cached func(from, size int64) bool) {
	until := at + size + lead
	if r.begin(at, 2*lead) {
		until = at + size + firstLead
	}
	for r.done = max(r.done, at); r.done < min(until, end); {
		piece := min(aheadStep, end-r.done)
		if r.buf == nil && cached(r.done, piece) {
			r.done += piece
			continue
		}
		if r.buf == nil {
			r.buf = make([]byte, aheadStep)
		}
		n, err := r.file.ReadAt(r.buf[:piece], r.done)
		if r.done += int64(n); err != nil {
			return // the scan meets the same fault in the map
		}
	}
}

// backward asks for the pages before the scan, which is at the address here and at the
// offset at.
func (r *ReadAhead) backward(here unsafe.Pointer, at int64) {
	r.begin(at, 2*backwardLead)
	for r.done > 0 && at-min(r.done, at) < backwardLead {
		size := min(backwardStep, r.done)
		r.done -= size
		willNeed(unsafe.Add(here, int(r.done-at)), int(size))
	}
}

// begin restarts at an offset if nothing within near bytes of it was read, and reports
// whether it did.
func (r *ReadAhead) begin(at, near int64) bool {
	distance := max(r.done, at) - min(r.done, at)
	if r.begun && distance <= near {
		return false
	}
	r.begun, r.done = true, at
	return true
}
