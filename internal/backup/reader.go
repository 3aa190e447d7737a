package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// reader reads one backup and checks everything in it.
type reader struct {
	header
	in    *bufio.Reader
	sum   hash.Hash // of all bytes before frame
	frame []byte    // the last frame read, or the header
}

// maxEmpty is how many reads in succession may return nothing.
const maxEmpty = 100

// patientReader waits for a slow reader until the context ends, but not for one that returns
// nothing again and again.
type patientReader struct {
	ctx   context.Context
	r     io.Reader
	empty int // reads in succession that returned nothing
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if p.empty++; n > 0 {
		p.empty = 0
	}
	if err == nil && p.empty >= maxEmpty {
		return n, io.ErrNoProgress
	}
	return n, err
}

// newReader reads the header. The error matches ErrFormat if the stream is not a backup or
// has a newer format, and ErrCorrupt if it is damaged.
func newReader(r io.Reader) (*reader, error) {
	b := &reader{in: bufio.NewReaderSize(r, 256<<10), sum: sha256.New()}
	b.frame = make([]byte, headerSize)
	n, err := io.ReadFull(b.in, b.frame)
	if magic := min(n, len(backupMagic)); n == 0 || !bytes.Equal(b.frame[:magic], []byte(backupMagic)[:magic]) {
		if err != nil && !endOfStream(err) {
			return nil, err
		}
		hint := ""
		if n > 0 && b.frame[0] == '{' {
			hint = ": it begins as an export does, which Import reads"
		}
		return nil, fmt.Errorf("%w: not a backup of a Yore log%s", eventstore.ErrFormat, hint)
	}
	if err != nil {
		return nil, cutShort(err)
	}
	content, ok := cutSum(b.frame)
	if !ok {
		return nil, fmt.Errorf("%w: the header of the backup is damaged", eventstore.ErrCorrupt)
	}
	switch format := binary.BigEndian.Uint32(content[8:]); {
	case format < backupFormat:
		return nil, fmt.Errorf("%w: the backup has format %d, and this version of Yore reads format %d: restore it with the version of Yore "+
			"that wrote it, export the log (Store.Export), and import it with this one", eventstore.ErrFormat, format, backupFormat)
	case format > backupFormat:
		return nil, fmt.Errorf("%w: the backup has format %d, this version of Yore reads format %d", eventstore.ErrFormat, format, backupFormat)
	}
	copy(b.StoreID[:], content[12:])
	b.Epoch = binary.BigEndian.Uint64(content[28:])
	b.After = eventstore.Position(binary.BigEndian.Uint64(content[36:]))
	b.Through = eventstore.Position(binary.BigEndian.Uint64(content[44:]))
	b.Created = time.Unix(0, int64(binary.BigEndian.Uint64(content[52:]))).UTC()
	b.seam = binary.BigEndian.Uint32(content[60:])
	b.Bytes = headerSize
	return b, nil
}

// next returns the next record, valid until the next call. After the last one it checks
// that the backup is whole and returns io.EOF. Until then, none of the records is proved to
// be there in full.
func (b *reader) next() (eventstore.Position, []byte, error) {
	kind, body, err := b.nextFrame()
	if err != nil {
		return 0, nil, err
	}
	switch kind {
	case frameRecord:
		if len(body) < 8 {
			return 0, nil, b.damaged("is too short")
		}
		b.Events++
		return eventstore.Position(binary.BigEndian.Uint64(body)), body[8:], nil
	case frameManifest:
		if err := b.end(body); err != nil {
			return 0, nil, err
		}
		return 0, nil, io.EOF
	}
	return 0, nil, fmt.Errorf("%w: the backup has a frame of kind %q, which this version of Yore does not know", eventstore.ErrFormat, kind)
}

// nextFrame reads a frame and checks it.
func (b *reader) nextFrame() (kind byte, body []byte, err error) {
	b.sum.Write(b.frame) // the frame before: the manifest has the sum of all frames before its own
	b.frame = append(b.frame[:0], make([]byte, frameHead)...)
	if _, err := io.ReadFull(b.in, b.frame); err != nil {
		return 0, nil, cutShort(err)
	}
	size := binary.BigEndian.Uint32(b.frame[1:])
	if size > maxFrame { // before it becomes an int, which may have 32 bits
		return 0, nil, b.damaged("is too long")
	}
	if err := b.readOn(int(size) + logfile.ChecksumSize); err != nil {
		return 0, nil, cutShort(err)
	}
	content, ok := cutSum(b.frame)
	if !ok {
		return 0, nil, b.damaged("fails its checksum")
	}
	b.Bytes += int64(len(b.frame))
	return content[0], content[frameHead:], nil
}

// readOn appends the next n bytes to the frame, in pieces: a damaged size may claim more
// memory than the backup has bytes.
func (b *reader) readOn(n int) error {
	const piece = 1 << 20
	for n > 0 {
		read, now := len(b.frame), min(n, piece)
		b.frame = append(b.frame, make([]byte, now)...)
		if _, err := io.ReadFull(b.in, b.frame[read:]); err != nil {
			return err
		}
		n -= now
	}
	return nil
}

// end compares the backup with its manifest, and checks that the stream ends there.
func (b *reader) end(manifest []byte) error {
	if len(manifest) != manifestSize {
		return b.damaged("is not as long as a manifest")
	}
	events, size := binary.BigEndian.Uint64(manifest), binary.BigEndian.Uint64(manifest[8:])
	before := b.Bytes - int64(len(b.frame))
	if uint64(b.Events) != events || uint64(before) != size || !bytes.Equal(b.sum.Sum(nil), manifest[16:]) {
		return fmt.Errorf("%w: the backup has %d events in %d bytes, but its manifest is of another backup, with %d events in %d bytes",
			eventstore.ErrCorrupt, b.Events, before, events, size)
	}
	if _, err := b.in.ReadByte(); err == nil {
		return fmt.Errorf("%w: bytes follow the end of the backup", eventstore.ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	copy(b.SHA256[:], manifest[16:])
	return nil
}

func (b *reader) damaged(how string) error {
	return fmt.Errorf("%w: the frame at byte %d of the backup %s", eventstore.ErrCorrupt, b.Bytes, how)
}

// cutShort turns an unexpected end of the stream into an error that matches ErrCorrupt.
func cutShort(err error) error {
	if endOfStream(err) {
		return fmt.Errorf("%w: the backup was cut short", eventstore.ErrCorrupt)
	}
	return err
}

func endOfStream(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
