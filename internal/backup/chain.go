package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// Chain is a backup, and incremental ones that continue it.
type Chain []*reader

// OpenChain reads the headers, and checks that the first backup is a full one, if it
// must be, and that each continues the one before.
func OpenChain(backups []io.Reader, full bool) (Chain, error) {
	if len(backups) == 0 {
		return nil, fmt.Errorf("%w: no backup is given", eventstore.ErrInvalid)
	}
	chain := make(Chain, len(backups))
	for i, r := range backups {
		b, err := newReader(r)
		switch {
		case err != nil:
		case i > 0:
			err = chain[i-1].continuedBy(b)
		case full && b.After > 0:
			err = fmt.Errorf("%w: it is an incremental one, after position %d; the first must be a full one", eventstore.ErrInvalid, b.After)
		}
		if err != nil {
			return nil, fmt.Errorf("backup %d: %w", i+1, err)
		}
		chain[i] = b
	}
	return chain, nil
}

// continuedBy returns why next does not continue the backup, or nil, as far as
// the headers tell.
func (b *reader) continuedBy(next *reader) error {
	switch {
	case next.StoreID != b.StoreID || next.Epoch != b.Epoch:
		return fmt.Errorf("%w: it is of store %v, epoch %d, and the one before of store %v, epoch %d",
			eventstore.ErrInvalid, next.StoreID, next.Epoch, b.StoreID, b.Epoch)
	case next.After != b.Through:
		return fmt.Errorf("%w: it begins after position %d, and the one before ends at %d", eventstore.ErrInvalid, next.After, b.Through)
	}
	return nil
}

// Manifest returns what all backups hold together, all but the checksum: the counts
// are those of what was read so far.
func (c Chain) Manifest() Manifest {
	m := c[len(c)-1].Manifest
	m.After, m.Events, m.Bytes, m.SHA256 = c[0].After, 0, 0, [sha256.Size]byte{}
	for _, b := range c {
		m.Events += b.Events
		m.Bytes += b.Bytes
	}
	return m
}

// Read calls add with all records, one after another, and makes sure that each
// backup is whole.
func (c Chain) Read(ctx context.Context, add func(eventstore.Position, []byte) error, progress func(done, total eventstore.Position)) error {
	last := c[0].seam // the checksum that ends the last record
	if c[0].After == 0 {
		last = 0
	}
	for i, b := range c {
		if b.seam != last {
			return fmt.Errorf("backup %d: %w: it continues another log: the event at position %d is not the one that it was made after",
				i+1, eventstore.ErrInvalid, b.After)
		}
		done := b.After
		err := b.read(ctx, func(p eventstore.Position, rec []byte) error {
			if err := add(p, rec); err != nil {
				return err
			}
			done, last = p, seamOf(rec)
			if progress != nil && (b.Events%logfile.PageEvents == 0 || p == b.Through) {
				progress(p, c[len(c)-1].Through)
			}
			return nil
		})
		if err == nil && done != b.Through {
			err = fmt.Errorf("%w: it ends at position %d, and is to go through %d", eventstore.ErrCorrupt, done, b.Through)
		}
		if err != nil {
			return fmt.Errorf("backup %d: %w", i+1, err)
		}
	}
	return nil
}

// read calls add with all records, and returns when it has seen that the backup
// is whole.
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
