package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// A backup is a stream: a header, a frame for each record, and a last frame that
// says what all came to. docs/reference/backup-format.md draws it. Integers are
// big-endian.
//
//	header    magic (8) | format (4) | store id (16) | epoch (8) | after (8) |
//	          through (8) | created, ns since 1970 UTC (8) | seam (4) | CRC32C (4)
//	frame     kind (1) | bytes of body (4) | body | CRC32C of all of it (4)
//	record    kind 'r': position (8) | record, as the log has it
//	manifest  kind 'm': events (8) | bytes before this frame (8) | their SHA-256 (32)
//
// The seam is the checksum that ends the record at after, 0 for none: a backup
// that continues another one must have been made of the same past.
//
// Each checksum finds damage where it is, before what it covers is used; the
// SHA-256 finds frames that are missing, or of another backup.

const (
	backupMagic  = "yore-bak"
	backupFormat = 1

	headerSize   = 68
	frameHead    = 5
	manifestSize = 48

	frameRecord   = 'r'
	frameManifest = 'm'

	// maxFrame is more than the largest record needs, in bytes.
	maxFrame = 64 << 20
)

// Manifest says what a backup holds.
type Manifest struct {
	// StoreID and Epoch are those of the log.
	StoreID uuid.UUID
	Epoch   uint64
	// After and Through say which events: those with positions greater than
	// After, up to and including Through.
	After, Through eventstore.Position
	// Created is when the backup was begun, by the store's clock, in UTC.
	Created time.Time
	// Events is how many there are.
	Events int
	// Bytes is how long the backup is.
	Bytes int64
	// SHA256 is the checksum of all that is before it in the backup.
	SHA256 [sha256.Size]byte
}

// header is what a backup begins with.
type header struct {
	Manifest        // as far as it is known then
	seam     uint32 // the checksum that ends the record at After
}

// appendHeader appends the header's bytes.
func appendHeader(dst []byte, h *header) []byte {
	start := len(dst)
	dst = append(dst, backupMagic...)
	dst = binary.BigEndian.AppendUint32(dst, backupFormat)
	dst = append(dst, h.StoreID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Epoch)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.After))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Through))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Created.UnixNano()))
	dst = binary.BigEndian.AppendUint32(dst, h.seam)
	return appendSum(dst, start)
}

// appendRecord appends the frame of a record.
func appendRecord(dst []byte, p eventstore.Position, rec []byte) []byte {
	start := len(dst)
	dst = append(dst, frameRecord)
	dst = binary.BigEndian.AppendUint32(dst, uint32(8+len(rec)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p))
	dst = append(dst, rec...)
	return appendSum(dst, start)
}

// appendManifest appends the frame that ends a backup.
func appendManifest(dst []byte, events int, size int64, sum []byte) []byte {
	start := len(dst)
	dst = append(dst, frameManifest)
	dst = binary.BigEndian.AppendUint32(dst, manifestSize)
	dst = binary.BigEndian.AppendUint64(dst, uint64(events))
	dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	dst = append(dst, sum...)
	return appendSum(dst, start)
}

// appendSum appends the checksum of what dst has from start on.
func appendSum(dst []byte, start int) []byte {
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], logfile.Castagnoli))
}

// cutSum returns b without the checksum at its end, and whether that is right.
func cutSum(b []byte) ([]byte, bool) {
	content := b[:len(b)-logfile.CrcSize]
	return content, binary.BigEndian.Uint32(b[len(content):]) == crc32.Checksum(content, logfile.Castagnoli)
}
