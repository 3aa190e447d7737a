package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// A backup is a stream: a header, a frame for each record, and a last frame, the manifest.
// docs/reference/backup-format.md describes it. Integers are big-endian.
//
//	header    magic (8) | format (4) | store id (16) | epoch (8) | after (8) |
//	          through (8) | created, ns since 1970 UTC (8) | seam (4) | CRC32C (4)
//	frame     kind (1) | bytes of body (4) | body | CRC32C of all of it (4)
//	record    kind 'r': position (8) | record, as the log has it
//	manifest  kind 'm': events (8) | bytes before this frame (8) | their SHA-256 (32)
//
// The seam is the CRC32C of the position, the recorded time and the id of the event at after,
// or 0: an incremental backup must continue the same log, not another one of the same store.
//
// A CRC32C finds damage before the bytes that it covers are used. The SHA-256 finds frames
// that are missing or belong to another backup.

const (
	backupMagic  = "yore-bak"
	backupFormat = 2 // 1 had records of an older format

	headerSize   = 68
	frameHead    = 5
	manifestSize = 48

	frameRecord   = 'r'
	frameManifest = 'm'

	// maxFrame bounds the body of a frame, in bytes. No record is as large: its payload has
	// at most 16 MiB, and all the rest less than 1 MiB.
	maxFrame = 20 << 20
)

// Manifest describes a backup.
type Manifest struct {
	// StoreID and Epoch are those of the log.
	StoreID uuid.UUID
	Epoch   uint64
	// After and Through bound the positions of the events: greater than After, up to and
	// including Through.
	After, Through eventstore.Position
	// Created is when the backup was begun, by the store's clock, in UTC.
	Created time.Time
	// Events is the number of events.
	Events int
	// Bytes is the size of the backup.
	Bytes int64
	// SHA256 is the checksum of the bytes before the manifest's frame.
	SHA256 [sha256.Size]byte
}

// header is the beginning of a backup.
type header struct {
	Manifest        // without Events, Bytes and SHA256
	seam     uint32 // of the event at After; 0 for a full backup
}

// Begins reports whether b begins as a backup does.
func Begins(b []byte) bool { return bytes.HasPrefix(b, []byte(backupMagic)) }

// appendHeader appends an encoded header.
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

// appendManifest appends the manifest's frame.
func appendManifest(dst []byte, events int, size int64, sum []byte) []byte {
	start := len(dst)
	dst = append(dst, frameManifest)
	dst = binary.BigEndian.AppendUint32(dst, manifestSize)
	dst = binary.BigEndian.AppendUint64(dst, uint64(events))
	dst = binary.BigEndian.AppendUint64(dst, uint64(size))
	dst = append(dst, sum...)
	return appendSum(dst, start)
}

// appendSum appends the checksum of the bytes of dst from start on.
func appendSum(dst []byte, start int) []byte {
	return binary.BigEndian.AppendUint32(dst, logfile.Checksum(dst[start:]))
}

// cutSum returns b without the checksum at its end, and whether the checksum is right.
func cutSum(b []byte) ([]byte, bool) {
	content := b[:len(b)-logfile.ChecksumSize]
	return content, logfile.ChecksumAt(b) == logfile.Checksum(content)
}
