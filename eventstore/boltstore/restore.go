package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/progress"
)

// RestoreOptions say how to restore. Nil and zero values mean the defaults.
type RestoreOptions struct {
	// Replace puts the restored log in the place of one that is there. Without it
	// that is an error. What is no Yore log is not replaced.
	Replace bool
	// FileMode is that of the restored file; the default is that of the file it
	// replaces, or else 0o600.
	FileMode fs.FileMode
	// LockTimeout is how long to wait for another opener to let go of the file
	// that is replaced; zero and less is 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// Restore makes the log at path from a full backup and the incremental ones that
// continue it, in their order. It returns what they hold together.
//
// Everything is checked before there is a file at path: the checksums, that all
// is there, that each backup continues the one before, that events may follow
// each other as they do. The index is made from the events. Views are not in a
// backup: they are built again from the first event when they are next run or
// attached.
//
// The restored log has the store id of the backup, and an epoch of its own, the
// Manifest's: higher than that of the backup and of what was restored before.
// Views and checkpoints that are kept elsewhere may know events that the restored
// log does not have; by the epoch that can be seen.
//
// The file is there as a whole or not at all; after an error, one that is to be
// replaced is as it was, with one exception, which says so.
//
// Errors a caller can match: fs.ErrExist (there is a file, and no Replace),
// ErrCorrupt (a backup is damaged or cut short; the message says where),
// ErrFormat (it is none, or of a newer format; or the file to be replaced is no
// log), ErrInvalid (the backups do not continue each other, or the first is not
// a full one), ErrLocked, the context's, and those of the file system and the
// readers.
func Restore(ctx context.Context, path string, o *RestoreOptions, backups ...io.Reader) (Manifest, error) {
	var opts RestoreOptions
	if o != nil {
		opts = *o
	}
	manifest, err := restore(ctx, path, opts, backups)
	if err != nil {
		return Manifest{}, fmt.Errorf("restore %s: %w", path, err)
	}
	return manifest, nil
}

func restore(ctx context.Context, path string, opts RestoreOptions, backups []io.Reader) (_ Manifest, err error) {
	if path == "" {
		return Manifest{}, fmt.Errorf("%w: the path is empty", eventstore.ErrInvalid)
	}
	chain, err := backup.OpenChain(backups, true)
	if err != nil {
		return Manifest{}, err
	}
	old, err := findReplaced(path, opts)
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, old.close()) }()
	whole := chain.Manifest()
	epoch := old.epochAfter(whole)
	b, err := logbuild.New(old.path, logbuild.Options{
		Identity: logfile.Identity{StoreID: whole.StoreID, Epoch: epoch}, Mode: old.mode, Replaces: old.Source,
	})
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, b.Abandon()) }()
	if err := chain.Read(ctx, b.Add, progress.Reporter(0, opts.Progress)); err != nil {
		return Manifest{}, err
	}
	if err := ctx.Err(); err != nil {
		return Manifest{}, err
	}
	if err := b.Finish(old.exists); err != nil {
		return Manifest{}, err
	}
	restored := manifestOf(chain.Manifest())
	restored.Epoch = epoch
	return restored, nil
}

// replaced is what is at the path of a log that is restored.
type replaced struct {
	path   string // where the file is, if the path is a link
	mode   fs.FileMode
	exists bool
	*logbuild.Source
}

// findReplaced looks what is there, and locks it.
func findReplaced(path string, opts RestoreOptions) (*replaced, error) {
	r := &replaced{path: path, mode: opts.FileMode}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if !opts.Replace {
		return nil, fs.ErrExist
	}
	if r.path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	r.exists = true
	if r.mode == 0 {
		r.mode = info.Mode().Perm()
	}
	r.Source, err = logbuild.OpenSource(r.path, opts.LockTimeout, true)
	if errors.Is(err, eventstore.ErrCorrupt) {
		return r, nil // no other opener can open it either
	}
	return r, err
}

// close lets go of the file.
func (r *replaced) close() error {
	if r == nil || r.Source == nil {
		return nil
	}
	return r.Close()
}

// epochAfter returns the epoch that tells the restored log from the backed up
// one, and from the one that is replaced.
func (r *replaced) epochAfter(whole backup.Manifest) uint64 {
	replaced := uint64(0)
	if r.Source != nil && r.Identity.StoreID == whole.StoreID {
		replaced = r.Identity.Epoch
	}
	return logfile.NewEpoch(whole.Epoch, replaced)
}
