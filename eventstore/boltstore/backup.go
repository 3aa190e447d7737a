package boltstore

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/progress"
)

// BackupOptions are the options of Backup. Nil and zero values mean the defaults.
type BackupOptions struct {
	// After makes the backup incremental: it has the events after this position, and
	// continues a backup whose Through is After. Zero makes a full backup.
	After eventstore.Position
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// Manifest describes the content of a backup.
type Manifest struct {
	// StoreID and Epoch are those of the log.
	StoreID uuid.UUID
	Epoch   uint64
	// After and Through bound the events: their positions are greater than After, up
	// to and including Through.
	After, Through eventstore.Position
	// Created is the time at which the backup began, by the store's clock, in UTC.
	Created time.Time
	// Events is the number of events.
	Events int
	// Bytes is the size of the backup.
	Bytes int64
}

// Backup writes the events up to the present head to w. Appends, reads and follows go on
// meanwhile: it reads in pages, and no transaction is open while w is written. Its memory is
// bounded.
//
// docs/reference/backup-format.md describes the format; its checksums reveal any byte that
// is changed or missing. Views are not in a backup, since they are derived from the events.
// Through of the Manifest is the After of an incremental backup that continues this one.
//
// A damaged record ends the backup with a [*eventstore.CorruptError], so that the loss is
// noticed while an older backup with that event still exists. After an error, the bytes
// that w has received are not a backup, and [Restore] refuses them.
//
// Other errors a caller can match: ErrInvalid (After is beyond the head, or Options.Clock says
// a time outside the years 1678 to 2261), ErrClosed, the context's, and those of w.
func (s *Store) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (Manifest, error) {
	var opts BackupOptions
	if o != nil {
		opts = *o
	}
	manifest, err := s.backup(ctx, w, opts)
	if err != nil {
		return Manifest{}, fmt.Errorf("back up %s: %w", s.file.Path, err)
	}
	return manifest, nil
}

func (s *Store) backup(ctx context.Context, w io.Writer, opts BackupOptions) (Manifest, error) {
	if err := s.usable(ctx); err != nil {
		return Manifest{}, err
	}
	head := s.tail.last().through
	if opts.After > head {
		return Manifest{}, fmt.Errorf("%w: after position %d, which is beyond the head %d", eventstore.ErrInvalid, opts.After, head)
	}
	created, err := s.now()
	if err != nil {
		return Manifest{}, err
	}
	var seam uint32
	if opts.After > 0 {
		if err := s.readTx(func(tx *pages.Tx) (err error) {
			seam, err = backup.SeamAt(tx, s.seed, opts.After)
			return err
		}); err != nil {
			return Manifest{}, err
		}
	}
	b, err := backup.NewWriter(w, backup.Manifest{
		StoreID: s.info.StoreID, Epoch: s.info.Epoch, After: opts.After, Through: head, Created: created,
	}, seam)
	if err != nil {
		return Manifest{}, err
	}
	report := progress.Reporter(opts.After, opts.Progress)
	err = logfile.CopyRecords(ctx, s.access(), opts.After+1, head, func(page *logfile.Page) error {
		if err := b.Records(page); err != nil {
			return err
		}
		if report != nil {
			report(page.Last(), head)
		}
		return nil
	})
	if err != nil {
		return Manifest{}, err
	}
	written, err := b.End()
	return manifestOf(written), err
}

// VerifyBackup reads a backup and the incremental ones that continue it, in their order,
// and returns the Manifest of their union, with the epoch in which they were made. The first
// may be incremental too.
//
// It checks what Restore checks without making a file: each checksum, that nothing is
// missing, that each backup continues the one before, that an Append could have written each
// event. It does not check that the versions of each stream follow each other, nor that no
// two commits have the same key; that shows when Restore makes the index. Its errors are
// those of Restore.
func VerifyBackup(ctx context.Context, backups ...io.Reader) (Manifest, error) {
	chain, err := backup.OpenChain(ctx, backups, false)
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	log := logfile.NewSequence(chain.Seed(), chain.Manifest().After, false)
	err = chain.Read(ctx, func(p eventstore.Position, rec []byte) error {
		_, err := log.Next(p, rec)
		return err
	}, nil)
	if err == nil {
		err = log.End()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	return manifestOf(chain.Manifest()), nil
}

// manifestOf returns a manifest as a caller knows it.
func manifestOf(m backup.Manifest) Manifest {
	return Manifest{
		StoreID: m.StoreID, Epoch: m.Epoch, After: m.After, Through: m.Through,
		Created: m.Created, Events: m.Events, Bytes: m.Bytes,
	}
}
