package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

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

// backupWriter writes a backup. It is not safe for concurrent use.
type backupWriter struct {
	manifest // of what was written so far
	w        io.Writer
	sum      hash.Hash // of all that was written
	buf      []byte
}

// newBackupWriter writes the header of a backup to w: what of the manifest is known
// before the records, and the seam, which is seamAt of the position After, or 0.
func newBackupWriter(w io.Writer, m manifest, seam uint32) (*backupWriter, error) {
	b := &backupWriter{manifest: m, w: w, sum: sha256.New()}
	return b, b.write(appendHeader(nil, &backupHeader{manifest: m, seam: seam}))
}

// records writes a page of records, when it is sure of each.
func (b *backupWriter) records(page *recordPage) error {
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
func (b *backupWriter) end() (manifest, error) {
	b.sum.Sum(b.SHA256[:0])
	if err := b.write(appendManifest(nil, b.Events, b.Bytes, b.SHA256[:])); err != nil {
		return manifest{}, err
	}
	return b.manifest, nil
}

func (b *backupWriter) write(p []byte) error {
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
