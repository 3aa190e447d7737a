package logfile

import (
	"errors"
	"fmt"
	"runtime/debug"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
)

// Protect runs fn, which reads or writes a file through bbolt. bbolt trusts the
// pages it reads and may run out of them or panic on damaged ones; here that
// becomes an error.
func Protect(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = badPage(r)
		}
		if errors.Is(err, berrors.ErrIncompatibleValue) && !errors.Is(err, eventstore.ErrCorrupt) {
			err = fmt.Errorf("%w: what should be a bucket is a value, or a value a bucket: %w", eventstore.ErrCorrupt, err)
		}
	}()
	return fn()
}

// ErrBadPage says that bbolt panicked.
var ErrBadPage = errors.New("a page of the file is damaged, or the file was cut short")

// badPage is the error for what bbolt panicked with.
func badPage(recovered any) error {
	return fmt.Errorf("%w: %w: %v", eventstore.ErrCorrupt, ErrBadPage, recovered)
}
