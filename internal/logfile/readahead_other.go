//go:build !linux

package logfile

import "unsafe"

// willNeed does nothing where there is no way to ask.
func willNeed(unsafe.Pointer, int) {}

// inCache does not know.
func inCache(unsafe.Pointer, int) bool { return false }
