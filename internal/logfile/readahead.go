package logfile

import (
	"io"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// bbolt maps its file and tells the system that it will be read at random, so
// that the system reads a page at a time and none ahead. For queries that is
// right; a scan of a log that is not in the page cache would wait for the disk at
// every page. Records lie in the file about as they lie in the log. So a scan reads
// the file, in order, before it walks the map, and throws away what it has read: it
// is in the page cache then. And systems notice who reads in order, and read ahead
// of him, in large pieces, while he does something else. A scan begins to read when it
// comes to what is not known to be in the page cache, and does not leave off: who
// leaves out what the system has read ahead is not noticed any more.
//
// They do not notice who reads backward. Such a scan asks for what it will need,
// where there is a way to ask, and that comes in small pieces.

// ReadAhead is how far ahead of a scan the file has been read.
type ReadAhead struct {
	File  io.ReaderAt
	Tells bool // the system tells what is in the page cache, as it does who may write
	begun bool
	done  int64  // the offset up to which it has, or, backward, down to which
	buf   []byte // for a piece; nil: none was read yet
}

const (
	firstLead = 64 << 10  // at first, and where the log goes on elsewhere, for it may end there
	lead      = 1 << 20   // later
	aheadStep = 128 << 10 // a piece

	// Backward, there is more to be asked for at once, since nobody goes on by himself.
	backwardLead = 2 << 20
	backwardStep = 512 << 10 // in one request, since systems cut larger ones short
)

// From reads what comes next, if the value lies in the mapped file. It is called in
// the transaction that the value is of.
func (r *ReadAhead) From(tx *bolt.Tx, value []byte, backward bool) {
	here := unsafe.Pointer(unsafe.SliceData(value))
	at := int64(uintptr(here)) - int64(tx.DB().Info().Data)
	if at < 0 || at >= tx.Size() { // the log of a small file may be a copy
		return
	}
	if backward {
		r.backward(here, at)
	} else {
		r.Forward(at, int64(len(value)), tx.Size(), func(from, size int64) bool {
			return r.Tells && inCache(unsafe.Add(here, int(from-at)), int(size))
		})
	}
}

// Forward reads the file up to where it is to be read when the scan is at a value, from
// the first piece on that is not cached.
func (r *ReadAhead) Forward(at, size, end int64, cached func(from, size int64) bool) {
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
		n, err := r.File.ReadAt(r.buf[:piece], r.done)
		if r.done += int64(n); err != nil {
			return // whoever walks the map sees what is wrong
		}
	}
}

// backward asks for what is before the scan, which is here, at an offset.
func (r *ReadAhead) backward(here unsafe.Pointer, at int64) {
	r.begin(at, 2*backwardLead)
	for r.done > 0 && at-min(r.done, at) < backwardLead {
		size := min(backwardStep, r.done)
		r.done -= size
		willNeed(unsafe.Add(here, int(r.done-at)), int(size))
	}
}

// begin begins anew if the scan is where nothing near has been read, and reports
// whether it has.
func (r *ReadAhead) begin(at, near int64) bool {
	distance := max(r.done, at) - min(r.done, at)
	if r.begun && distance <= near {
		return false
	}
	r.begun, r.done = true, at
	return true
}
