package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// SeamAt returns the checksum that ends the record at p, which must be whole.
func SeamAt(tx *bolt.Tx, p eventstore.Position) (uint32, error) {
	rec, err := logfile.NewReader(tx.Bucket(logfile.LogBucket)).At(p)
	if err != nil {
		return 0, err
	}
	if _, err := record.Decode(p, rec); err != nil {
		return 0, err
	}
	return seamOf(rec), nil
}

// seamOf returns the checksum that ends a record.
func seamOf(rec []byte) uint32 { return binary.BigEndian.Uint32(rec[len(rec)-logfile.CrcSize:]) }

// Writer writes a backup. It is not safe for concurrent use.
type Writer struct {
	Manifest // of what was written so far
	w        io.Writer
	sum      hash.Hash // of all that was written
	buf      []byte
}

// NewWriter writes the header of a backup to w: what of the manifest is known
// before the records, and the seam, which is SeamAt of the position After, or 0.
func NewWriter(w io.Writer, m Manifest, seam uint32) (*Writer, error) {
	b := &Writer{Manifest: m, w: w, sum: sha256.New()}
	return b, b.write(appendHeader(nil, &header{Manifest: m, seam: seam}))
}

// Records writes a page of records, when it is sure of each.
func (b *Writer) Records(page *logfile.Page) error {
	b.buf = b.buf[:0]
	for p, rec := range page.All() {
		if _, err := record.Decode(p, rec); err != nil {
			return err
		}
		b.buf = appendRecord(b.buf, p, rec)
		b.Events++
	}
	return b.write(b.buf)
}

// End writes the manifest.
func (b *Writer) End() (Manifest, error) {
	b.sum.Sum(b.SHA256[:0])
	if err := b.write(appendManifest(nil, b.Events, b.Bytes, b.SHA256[:])); err != nil {
		return Manifest{}, err
	}
	return b.Manifest, nil
}

func (b *Writer) write(p []byte) error {
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
