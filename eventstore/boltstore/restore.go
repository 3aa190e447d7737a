package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/progress"
)

// RestoreOptions are the options of Restore. Nil and zero values mean the defaults.
type RestoreOptions struct {
	// Replace replaces a log at path. Without it, a file at path is an error. A file that
	// is not a Yore log is never replaced.
	Replace bool
	// FileMode is the permissions of the restored file, before the umask. Zero means exactly
	// those of the replaced file, or 0o600.
	FileMode fs.FileMode
	// LockTimeout is how long to wait for another opener to close the file that is
	// replaced before ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// Restore makes the log at path from a full backup and the incremental ones that continue
// it, in their order, and returns the Manifest of their union.
//
// Everything is checked before the file appears at path: the checksums, that nothing is
// missing, that each backup continues the one before, that the events may follow each other,
// and that an Append could have written each of them. The checks find damage, and events that
// break a rule. A backup is not authenticated: a program that can write it can make another
// one that passes all checks. Keep backups where no other program can write, or sign them.
//
// The index is made from the events. Views are not in a backup; they are rebuilt from the
// first event when they are next run or attached.
//
// The restored log has the store id of the backup and a new epoch, which the Manifest says
// and which is higher than that of the backup and of the replaced log. Views and checkpoints
// kept elsewhere may know events that the restored log does not have; the epoch reveals it.
//
// The file appears whole or not at all. After an error, a file that was to be replaced is
// unchanged, with one exception, which the error says: the directory could not be synced.
//
// Errors a caller can match: fs.ErrExist (a file is there, and Replace is not set),
// ErrCorrupt (a backup is damaged or cut short, or has an event that no Append could have
// written; the error says where, and the rule), ErrFormat (not a
// backup, or one of a newer format; or the file to be replaced is not a log), ErrInvalid
// (the backups do not continue each other, or the first is not a full one), ErrLocked, the
// context's, and those of the file system and of the readers.
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
	chain, err := backup.OpenChain(ctx, backups, true)
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
		Identity: logfile.Identity{StoreID: whole.StoreID, Epoch: epoch}, Replaces: old.Source,
		Mode: old.mode, ExactMode: old.exists && opts.FileMode == 0,
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

// replaced is the file at the path of a log that is restored, if there is one.
type replaced struct {
	path   string // where the file is, if the path is a link
	mode   fs.FileMode
	exists bool
	*logbuild.Source
}

// findReplaced looks what is there, and locks it.
func findReplaced(path string, opts RestoreOptions) (*replaced, error) {
	real, err := logfile.Resolve(path)
	if err != nil {
		return nil, err
	}
	r := &replaced{path: real, mode: opts.FileMode}
	info, err := os.Stat(real)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if !opts.Replace {
		return nil, fs.ErrExist
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
