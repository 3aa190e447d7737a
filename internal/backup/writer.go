package backup

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// SeamAt returns the seam of the record at p. A missing or damaged record is a
// [*eventstore.CorruptError].
func SeamAt(tx *pages.Tx, seed record.Seed, p eventstore.Position) (uint32, error) {
	rec, err := logfile.NewReader(tx.Bucket(logfile.LogBucket)).At(p)
	if err != nil {
		return 0, err
	}
	if _, err := record.DecodeIdentity(seed, p, rec); err != nil {
		return 0, err
	}
	return record.Seam(p, rec), nil
}

// Writer writes a backup. After an error it cannot be used further, and the bytes written
// are not a backup. It is not safe for concurrent use.
type Writer struct {
	manifest Manifest // of what was written so far
	seed     record.Seed
	w        io.Writer
	sum      hash.Hash // of the bytes written
	buf      []byte
}

// NewWriter writes the header of a backup to w. m has all fields except Events, Bytes and
// SHA256; seam is SeamAt of the position m.After, or 0 if that is 0.
func NewWriter(w io.Writer, m Manifest, seam uint32) (*Writer, error) {
	b := &Writer{manifest: m, seed: record.SeedOf(m.StoreID), w: w, sum: sha256.New()}
	return b, b.write(appendHeader(nil, &header{Manifest: m, seam: seam}))
}

// Records checks the records of a page and writes them, in one call of w. A damaged record
// is a [*eventstore.CorruptError], and nothing of the page is written.
func (b *Writer) Records(page *logfile.Page) error {
	b.buf = b.buf[:0]
	for p, rec := range page.All() {
		if _, err := record.Decode(b.seed, p, rec); err != nil {
			return err
		}
		b.buf = appendRecord(b.buf, p, rec)
		b.manifest.Events++
	}
	return b.write(b.buf)
}

// End writes the manifest and returns it.
func (b *Writer) End() (Manifest, error) {
	b.sum.Sum(b.manifest.SHA256[:0])
	if err := b.write(appendManifest(nil, b.manifest.Events, b.manifest.Bytes, b.manifest.SHA256[:])); err != nil {
		return Manifest{}, err
	}
	return b.manifest, nil
}

func (b *Writer) write(p []byte) error {
	n, err := b.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	b.manifest.Bytes += int64(n)
	b.sum.Write(p)
	return nil
}
