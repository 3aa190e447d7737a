package salvage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
)

// Options say how to salvage. boltstore.SalvageOptions describes the fields.
type Options struct {
	LockTimeout time.Duration
	FileMode    fs.FileMode
	Progress    func(done, total eventstore.Position)
}

// Result says what has been saved, and what has not. boltstore.SalvageReport describes
// the fields.
type Result struct {
	Events        int
	Head          eventstore.Position
	Unlinked      int
	Through       eventstore.Position
	Missing       []Range
	MissingEvents uint64
	Ambiguous     []eventstore.Position
	Refused       int
	Leftover      int
	StoreID       uuid.UUID
	Epoch         uint64
	SameStore     bool
}

// Range is the positions from First to Last, both included.
type Range struct{ First, Last eventstore.Position }

// Run copies all records of a damaged log that are whole into a new one at
// into, which must not be there.
func Run(ctx context.Context, damaged, into string, opts Options) (_ Result, err error) {
	if _, err := os.Lstat(into); err == nil {
		return Result{}, fmt.Errorf("into %s: %w", into, fs.ErrExist)
	}
	db, _, err := logfile.Open(damaged, logfile.OpenOptions{ReadOnly: true, LockTimeout: opts.LockTimeout})
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, db.Close()) }()
	case errors.Is(err, eventstore.ErrLocked), errors.Is(err, fs.ErrNotExist):
		return Result{}, err
	}
	file, err := os.Open(damaged)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := newRemains(ctx, file)
	if err != nil {
		return Result{}, err
	}
	return rebuildFrom(found, into, opts)
}

// rebuildFrom makes the new log. That a record contradicts another far away, of
// its stream or with its key, shows only when all are there: then it is made
// once more without it.
func rebuildFrom(found *remains, into string, opts Options) (Result, error) {
	v := &salvager{found: found, opts: opts, avoid: make(map[eventstore.Position]bool)}
	if err := errors.Join(v.identify(), v.survey()); err != nil {
		return Result{}, err
	}
	known := v.result
	for {
		v.result = known
		v.result.Refused = len(v.avoid)
		err := v.build(into)
		var corrupt *eventstore.CorruptError
		if err == nil || !errors.As(err, &corrupt) || v.avoid[corrupt.Position] || len(v.avoid) == maxRetries {
			return v.result, err
		}
		v.avoid[corrupt.Position] = true
	}
}

func (v *salvager) build(into string) (err error) {
	v.b, err = logbuild.New(into, logbuild.Options{ID: v.result.StoreID, Epoch: v.result.Epoch, Mode: v.opts.FileMode, Gaps: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.b.Abandon()) }()
	if err := v.copy(); err != nil {
		return err
	}
	if v.result.Events == 0 {
		return fmt.Errorf("%w: not one event was found", eventstore.ErrCorrupt)
	}
	return v.b.Finish(false)
}
