package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// salvageOptions say how to salvage. boltstore.SalvageOptions describes the fields.
type salvageOptions struct {
	LockTimeout time.Duration
	FileMode    fs.FileMode
	Progress    func(done eventstore.Position)
}

// salvaged says what has been saved, and what has not. boltstore.Salvaged describes
// the fields.
type salvaged struct {
	Events        int
	Head          eventstore.Position
	Unlinked      int
	Through       eventstore.Position
	Missing       []positionRange
	MissingEvents uint64
	Ambiguous     []eventstore.Position
	Refused       int
	Leftover      int
	StoreID       uuid.UUID
	Epoch         uint64
	SameStore     bool
}

// positionRange is the positions from First to Last, both included.
type positionRange struct{ First, Last eventstore.Position }

// salvageFile copies all records of a damaged log that are whole into a new one at
// into, which must not be there.
func salvageFile(ctx context.Context, damaged, into string, opts salvageOptions) (_ salvaged, err error) {
	if _, err := os.Lstat(into); err == nil {
		return salvaged{}, fmt.Errorf("into %s: %w", into, fs.ErrExist)
	}
	db, _, err := openFile(damaged, openOptions{readOnly: true, lockTimeout: opts.LockTimeout})
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, db.Close()) }()
	case errors.Is(err, eventstore.ErrLocked), errors.Is(err, fs.ErrNotExist):
		return salvaged{}, err
	}
	file, err := os.Open(damaged)
	if err != nil {
		return salvaged{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	found, err := newRemains(ctx, file)
	if err != nil {
		return salvaged{}, err
	}
	return rebuildFrom(found, into, opts)
}

// rebuildFrom makes the new log. That a record contradicts another far away, of
// its stream or with its key, shows only when all are there: then it is made
// once more without it.
func rebuildFrom(found *remains, into string, opts salvageOptions) (salvaged, error) {
	v := &salvager{found: found, opts: opts, avoid: make(map[eventstore.Position]bool)}
	if err := errors.Join(v.identify(), v.survey()); err != nil {
		return salvaged{}, err
	}
	known := v.result
	for {
		v.result = known
		v.result.Refused = len(v.avoid)
		err := v.build(into)
		var corrupt *eventstore.CorruptError
		if err == nil || !errors.As(err, &corrupt) || v.avoid[corrupt.Position] || len(v.avoid) == salvageRetries {
			return v.result, err
		}
		v.avoid[corrupt.Position] = true
	}
}

func (v *salvager) build(into string) (err error) {
	v.b, err = newBuilder(into, buildOptions{id: v.result.StoreID, epoch: v.result.Epoch, mode: v.opts.FileMode, gaps: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.b.abandon()) }()
	if err := v.copy(); err != nil {
		return err
	}
	if v.result.Events == 0 {
		return fmt.Errorf("%w: not one event was found", eventstore.ErrCorrupt)
	}
	return v.b.finish(false)
}
