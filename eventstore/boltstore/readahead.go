package boltstore

import "unsafe"

// bbolt maps its file and tells the system that it will be read at random, so
// that the system reads a page at a time and none ahead. For queries that is
// right; a scan of a log that is not in the page cache would wait for the disk at
// every page. Records lie in the file about as they lie in the log, so a scan
// asks for the next two megabytes while it goes over these.

// readAhead is how far a scan has asked.
type readAhead struct {
	asked uintptr // the address up to which it has, or, backward, down to which
}

const (
	aheadBytes = 2 << 20
	aheadStep  = 512 << 10 // in one request, since systems cut larger ones short
)

// from asks for what follows the value, which is one of the file's, if that has
// not been asked for. It is called in the transaction that the value is of.
func (r *readAhead) from(value []byte, backward bool) {
	if len(value) == 0 {
		return
	}
	here := unsafe.Pointer(unsafe.SliceData(value))
	at := uintptr(here)
	if backward {
		if at < r.asked || at-r.asked > 2*aheadBytes {
			r.asked = at
		}
		for r.asked > aheadStep && at-r.asked < aheadBytes {
			r.asked -= aheadStep
			willNeed(unsafe.Add(here, -int(at-r.asked)), aheadStep)
		}
		return
	}
	if at > r.asked || r.asked-at > 2*aheadBytes {
		r.asked = at
	}
	for r.asked-at < aheadBytes {
		willNeed(unsafe.Add(here, int(r.asked-at)), aheadStep)
		r.asked += aheadStep
	}
}
