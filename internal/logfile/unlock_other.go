//go:build !unix || aix || solaris

package logfile

import "os"

// unlock does nothing: here a lock ends when the file is closed.
func unlock(*os.File) error { return nil }
