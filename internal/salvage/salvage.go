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

// Options are the options of Run. boltstore.SalvageOptions describes the fields.
type Options struct {
	LockTimeout time.Duration
	FileMode    fs.FileMode
	Progress    func(done, total eventstore.Position)
}

// Result reports what was saved and what was not. boltstore.SalvageReport describes the fields.
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

// Range is a range of positions; First and Last are included.
type Range struct{ First, Last eventstore.Position }

// Run copies the whole records of the log at damaged into a new log at into, which must not
// exist. It holds the lock of the damaged file if bbolt can open it. boltstore.Salvage lists
// the errors.
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

// rebuildFrom makes the new log. A record that contradicts a distant one, of its stream or
// with its key, is found only when all records are added. Then the log is made again
// without it.
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
	v.b, err = logbuild.New(into, logbuild.Options{
		Identity: logfile.Identity{StoreID: v.result.StoreID, Epoch: v.result.Epoch}, Mode: v.opts.FileMode, Salvaged: &v.found.seed,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.b.Abandon()) }()
	if err := v.copy(); err != nil {
		return err
	}
	if v.result.Events == 0 && v.found.older != nil {
		return v.found.older
	}
	if v.result.Events == 0 {
		return fmt.Errorf("%w: no event was found", eventstore.ErrCorrupt)
	}
	return v.b.Finish(false)
}
