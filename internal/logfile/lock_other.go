//go:build !unix || aix || solaris

package logfile

import (
	"errors"
	"os"
)

// unlock does nothing: here a lock ends when the file is closed.
func unlock(*os.File) error { return nil }

// lock does nothing.
func lock(*os.File, bool) error { return nil }

// duplicate is not possible here: another handle does not share the lock.
func duplicate(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// unheld is not possible here.
func unheld(string) (*os.File, error) { return nil, errors.ErrUnsupported }
