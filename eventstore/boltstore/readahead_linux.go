package boltstore

import (
	"os"
	"syscall"
	"unsafe"
)

// willNeed asks the system to read a part of the mapped file soon. The map begins
// where a page does, so rounding down does not leave it.
func willNeed(start unsafe.Pointer, size int) {
	before := int(uintptr(start) & uintptr(os.Getpagesize()-1))
	part := unsafe.Slice((*byte)(unsafe.Add(start, -before)), size+before)
	_ = syscall.Madvise(part, syscall.MADV_WILLNEED)
}
