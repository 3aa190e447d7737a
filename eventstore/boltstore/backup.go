package boltstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// BackupOptions say what to back up. Nil and zero values mean the defaults.
type BackupOptions struct {
	// After makes the backup an incremental one: it has the events after this
	// position, and continues a backup that goes through it. Zero is a full one.
	After eventstore.Position
	// Progress, if it is not nil, is told from time to time up to which position
	// the events have been written, and of how many.
	Progress func(done, of eventstore.Position)
}

// Backup writes the events of the log, up to the head as it is now, to w. Appends,
// readers and followers go on meanwhile. It reads in pages, each a short
// transaction that has ended before anything is written to w, so a slow w costs
// the log nothing. Memory is bounded.
//
// The format is that of docs/reference/backup-format.md: checksums find any byte
// that is changed or missing. Views are not in it: what they show is derived from
// the events. The Manifest says what has been written; its Through is the After
// of an incremental backup that continues this one.
//
// A damaged record ends the backup with a [*eventstore.CorruptError]: what is
// lost should be known when the last backup that has it is still there. After an
// error, what w has got is no backup, and [Restore] says so.
//
// Other errors a caller can match: ErrInvalid (After is beyond the head),
// ErrClosed, the context's, and those of w.
func (s *Store) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (Manifest, error) {
	var opts BackupOptions
	if o != nil {
		opts = *o
	}
	manifest, err := s.backup(ctx, w, opts)
	if err != nil {
		return Manifest{}, fmt.Errorf("back up %s: %w", s.file.path, err)
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
	b := backup{w: w, sum: sha256.New()}
	b.StoreID, b.Epoch = s.info.StoreID, s.info.Epoch
	b.After, b.Through = opts.After, head
	b.Created = s.opts.Clock().UTC()
	if opts.After > 0 {
		if err := s.view(func(tx *bolt.Tx) (err error) {
			b.seam, err = seamAt(tx, opts.After)
			return err
		}); err != nil {
			return Manifest{}, err
		}
	}
	if err := b.write(appendHeader(nil, &b.backupHeader)); err != nil {
		return Manifest{}, err
	}
	err := copyRecords(ctx, s, opts.After+1, head, func(page *recordPage) error {
		if err := b.records(page); err != nil {
			return err
		}
		if opts.Progress != nil {
			opts.Progress(page.last(), head)
		}
		return nil
	})
	if err != nil {
		return Manifest{}, err
	}
	return b.end()
}

// seamAt returns the checksum that ends the record at p, which must be whole.
func seamAt(tx *bolt.Tx, p eventstore.Position) (uint32, error) {
	rec, err := newLogReader(tx.Bucket(logBucket)).at(p)
	if err != nil {
		return 0, err
	}
	if _, err := record.Decode(p, rec); err != nil {
		return 0, err
	}
	return seamOf(rec), nil
}

// seamOf returns the checksum that ends a record.
func seamOf(rec []byte) uint32 { return binary.BigEndian.Uint32(rec[len(rec)-crcSize:]) }

// backup is a backup being written.
type backup struct {
	backupHeader
	w   io.Writer
	sum hash.Hash // of all that was written
	buf []byte
}

// records writes a page of records, when it is sure of each.
func (b *backup) records(page *recordPage) error {
	b.buf = b.buf[:0]
	for p, rec := range page.all() {
		if _, err := record.Decode(p, rec); err != nil {
			return err
		}
		b.buf = appendRecord(b.buf, p, rec)
		b.Events++
	}
	return b.write(b.buf)
}

// end writes the manifest.
func (b *backup) end() (Manifest, error) {
	b.sum.Sum(b.SHA256[:0])
	if err := b.write(appendManifest(nil, b.Events, b.Bytes, b.SHA256[:])); err != nil {
		return Manifest{}, err
	}
	return b.Manifest, nil
}

func (b *backup) write(p []byte) error {
	n, err := b.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	b.Bytes += int64(n)
	b.sum.Write(p)
	return nil
}
