package boltstore

import (
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// bbolt maps its file and tells the system that it will be read at random, so
// that the system reads a page at a time and none ahead. For queries that is
// right; a scan of a log that is not in the page cache would wait for the disk at
// every page. Records lie in the file about as they lie in the log, so a scan
// asks for the next two megabytes while it goes over these.

// readAhead is how far a scan has asked.
type readAhead struct {
	asked uintptr // the address up to which it has, or, backward, down to which; 0: none
}

const (
	aheadBytes = 2 << 20
	aheadStep  = 512 << 10 // in one request, since systems cut larger ones short
)

// from asks for what follows the value, if it lies in the mapped file and that has
// not been asked for. It is called in the transaction that the value is of.
func (r *readAhead) from(tx *bolt.Tx, value []byte, backward bool) {
	here := unsafe.Pointer(unsafe.SliceData(value))
	at, begin := uintptr(here), tx.DB().Info().Data
	end := begin + uintptr(tx.Size())
	if at < begin || at >= end { // the log of a small file may be a copy
		return
	}
	if r.asked < begin || r.asked > end || distance(r.asked, at) > 2*aheadBytes {
		r.asked = at
	}
	if backward {
		for r.asked > begin && at-min(r.asked, at) < aheadBytes {
			size := min(aheadStep, r.asked-begin)
			r.asked -= size
			willNeed(unsafe.Add(here, int(r.asked)-int(at)), int(size))
		}
		return
	}
	for r.asked < end && max(r.asked, at)-at < aheadBytes {
		size := min(aheadStep, end-r.asked)
		willNeed(unsafe.Add(here, int(r.asked)-int(at)), int(size))
		r.asked += size
	}
}

func distance(a, b uintptr) uintptr { return max(a, b) - min(a, b) }
