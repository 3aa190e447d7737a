package logfile

import (
	"errors"
	"fmt"
	"runtime/debug"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
)

// Protect runs fn, which reads or writes a file. Package pages panics on a damaged page, and
// so may bbolt, or it reads beyond the map. Protect turns that into an error that matches
// ErrBadPage and ErrCorrupt. A bucket found where a value belongs, or the reverse, matches
// ErrCorrupt. Other errors of fn are returned unchanged.
func Protect(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = badPage(r)
		}
		if errors.Is(err, berrors.ErrIncompatibleValue) && !errors.Is(err, eventstore.ErrCorrupt) {
			err = fmt.Errorf("%w: a value is where a bucket belongs, or a bucket where a value belongs: %w", eventstore.ErrCorrupt, err)
		}
	}()
	return fn()
}

// ErrBadPage means that a page is damaged: package pages or bbolt panicked on it, or it lies
// beyond the end of the file.
var ErrBadPage = errors.New("a page of the file is damaged, or the file was cut short")

// badPage returns the error for a recovered panic.
func badPage(recovered any) error {
	if damaged, ok := recovered.(error); ok && errors.Is(damaged, pages.ErrDamaged) {
		return fmt.Errorf("%w: %w: %w", eventstore.ErrCorrupt, ErrBadPage, damaged)
	}
	return fmt.Errorf("%w: %w: %v", eventstore.ErrCorrupt, ErrBadPage, recovered)
}
