package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// Chain is a backup and the incremental ones that continue it, in order. It can be read
// once, and is not safe for concurrent use.
type Chain []*reader

// OpenChain reads the headers of backups and checks that each continues the one before
// and, with full, that the first is a full one.
//
// Errors a caller can match: ErrInvalid (no backups, or they do not continue each other),
// ErrFormat (not a backup, or of a newer format), ErrCorrupt (damaged or cut short), and
// those of the readers and, also later, of the context. They name the backup by its number,
// from 1.
func OpenChain(ctx context.Context, backups []io.Reader, full bool) (Chain, error) {
	if len(backups) == 0 {
		return nil, fmt.Errorf("%w: no backup is given", eventstore.ErrInvalid)
	}
	chain := make(Chain, len(backups))
	for i, r := range backups {
		b, err := newReader(&patientReader{ctx: ctx, r: r})
		switch {
		case err != nil:
		case i > 0:
			err = chain[i-1].continuedBy(b)
		case full && b.After > 0:
			err = fmt.Errorf("%w: it is an incremental one, after position %d, and the first must be a full one", eventstore.ErrInvalid, b.After)
		}
		if err != nil {
			return nil, fmt.Errorf("backup %d: %w", i+1, err)
		}
		chain[i] = b
	}
	return chain, nil
}

// continuedBy returns an error if the header of next shows that it does not continue the
// backup.
func (b *reader) continuedBy(next *reader) error {
	switch {
	case next.StoreID != b.StoreID || next.Epoch != b.Epoch:
		return fmt.Errorf("%w: it is of store %v, epoch %d, and the one before is of store %v, epoch %d",
			eventstore.ErrInvalid, next.StoreID, next.Epoch, b.StoreID, b.Epoch)
	case next.After != b.Through:
		return fmt.Errorf("%w: it begins after position %d, and the one before ends at %d", eventstore.ErrInvalid, next.After, b.Through)
	}
	return nil
}

// Seed returns the seed of the records.
func (c Chain) Seed() record.Seed { return record.SeedOf(c[0].StoreID) }

// Manifest returns the manifest of all backups together, with a zero SHA256. Events and
// Bytes count what was read so far.
func (c Chain) Manifest() Manifest {
	m := c[len(c)-1].Manifest
	m.After, m.Events, m.Bytes, m.SHA256 = c[0].After, 0, 0, [sha256.Size]byte{}
	for _, b := range c {
		m.Events += b.Events
		m.Bytes += b.Bytes
	}
	return m
}

// Read calls add with the position and a record of all backups, in order. rec is valid
// until add returns. The records are proved to be those that were backed up only when Read
// has returned nil. progress, if not nil, is called about every logfile.PageEvents records,
// and at the end of each backup, with the position reached and the last one.
//
// Errors a caller can match: ErrCorrupt (damaged, cut short, or something is missing),
// ErrInvalid (a backup continues another log), ErrFormat, the context's, and those of add
// and of the readers.
func (c Chain) Read(ctx context.Context, add func(eventstore.Position, []byte) error, progress func(done, total eventstore.Position)) error {
	last := c[0].seam // of the last record
	if c[0].After == 0 {
		last = 0
	}
	for i, b := range c {
		if b.seam != last {
			return fmt.Errorf("backup %d: %w: it continues another log, with another event at position %d",
				i+1, eventstore.ErrInvalid, b.After)
		}
		done := b.After
		err := b.read(ctx, func(p eventstore.Position, rec []byte) error {
			if err := add(p, rec); err != nil {
				return err
			}
			done, last = p, record.Seam(p, rec)
			if progress != nil && (b.Events%logfile.PageEvents == 0 || p == b.Through) {
				progress(p, c[len(c)-1].Through)
			}
			return nil
		})
		if err == nil && done != b.Through {
			err = fmt.Errorf("%w: it ends at position %d, and should end at %d", eventstore.ErrCorrupt, done, b.Through)
		}
		if err != nil {
			return fmt.Errorf("backup %d: %w", i+1, err)
		}
	}
	return nil
}

// read calls add with all records of the backup. It returns nil only if the backup is whole.
func (b *reader) read(ctx context.Context, add func(eventstore.Position, []byte) error) error {
	for {
		p, rec, err := b.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && b.Events%logfile.PageEvents == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = add(p, rec)
		}
		if err != nil {
			return err
		}
	}
}
