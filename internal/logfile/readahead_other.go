//go:build !linux

package logfile

import "unsafe"

// willNeed does nothing: there is no portable call for it.
func willNeed(unsafe.Pointer, int) {}

// inCache reports false: it is not known.
func inCache(unsafe.Pointer, int) bool { return false }
