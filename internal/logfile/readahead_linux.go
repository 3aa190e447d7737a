package logfile

import (
	"os"
	"syscall"
	"unsafe"
)

// willNeed asks the system to read size bytes of the mapped file soon.
func willNeed(start unsafe.Pointer, size int) {
	start, size = wholePages(start, size)
	_ = syscall.Madvise(unsafe.Slice((*byte)(start), size), syscall.MADV_WILLNEED)
}

// inCache reports whether size bytes of the mapped file, at most aheadStep, are known to
// be in the page cache.
func inCache(start unsafe.Pointer, size int) bool {
	start, size = wholePages(start, size)
	var pages [aheadStep>>12 + 1]byte // no system has pages smaller than 4 KiB
	_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(start), uintptr(size), uintptr(unsafe.Pointer(&pages)))
	if errno != 0 {
		return false
	}
	for _, page := range pages[:(size+os.Getpagesize()-1)/os.Getpagesize()] {
		if page&1 == 0 {
			return false
		}
	}
	return true
}

// wholePages extends the part down to the beginning of its first page. The map begins at
// a page, so the result is inside it.
func wholePages(start unsafe.Pointer, size int) (unsafe.Pointer, int) {
	before := int(uintptr(start) & uintptr(os.Getpagesize()-1))
	return unsafe.Add(start, -before), size + before
}
