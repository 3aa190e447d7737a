package backup

import (
	"bufio"
	"bytes"
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

// reader reads a backup and trusts nothing in it.
type reader struct {
	header
	in    *bufio.Reader
	sum   hash.Hash // of all before the frame that is read
	frame []byte    // the last frame, or the header
}

// newReader reads the header. A stream that is no backup, or one of a newer
// format, matches ErrFormat; one that is damaged matches ErrCorrupt.
func newReader(r io.Reader) (*reader, error) {
	b := &reader{in: bufio.NewReaderSize(r, 256<<10), sum: sha256.New()}
	b.frame = make([]byte, headerSize)
	n, err := io.ReadFull(b.in, b.frame)
	if magic := min(n, len(backupMagic)); n == 0 || !bytes.Equal(b.frame[:magic], []byte(backupMagic)[:magic]) {
		if err != nil && !endOfStream(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: not a backup of a Yore log", eventstore.ErrFormat)
	}
	if err != nil {
		return nil, cutShort(err)
	}
	content, ok := cutSum(b.frame)
	if !ok {
		return nil, fmt.Errorf("%w: the header of the backup is damaged", eventstore.ErrCorrupt)
	}
	if format := binary.BigEndian.Uint32(content[8:]); format != backupFormat {
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

// next returns the next record; it is valid until the next call. After the last
// one it returns io.EOF, once it is sure that the backup is whole: until then
// nothing that was returned is.
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
	return 0, nil, fmt.Errorf("%w: the backup holds something of kind %q, which this version of Yore does not know", eventstore.ErrFormat, kind)
}

// nextFrame reads a frame and checks it.
func (b *reader) nextFrame() (kind byte, body []byte, err error) {
	b.sum.Write(b.frame) // the one before: the manifest has the sum of what is before it
	b.frame = append(b.frame[:0], make([]byte, frameHead)...)
	if _, err := io.ReadFull(b.in, b.frame); err != nil {
		return 0, nil, cutShort(err)
	}
	size := int(binary.BigEndian.Uint32(b.frame[1:]))
	if size > maxFrame {
		return 0, nil, b.damaged("is too long")
	}
	b.frame = append(b.frame, make([]byte, size+logfile.CrcSize)...)
	if _, err := io.ReadFull(b.in, b.frame[frameHead:]); err != nil {
		return 0, nil, cutShort(err)
	}
	content, ok := cutSum(b.frame)
	if !ok {
		return 0, nil, b.damaged("fails its checksum")
	}
	b.Bytes += int64(len(b.frame))
	return content[0], content[frameHead:], nil
}

// end holds the backup to its manifest.
func (b *reader) end(manifest []byte) error {
	if len(manifest) != manifestSize {
		return b.damaged("is not as long as a manifest")
	}
	events, size := binary.BigEndian.Uint64(manifest), binary.BigEndian.Uint64(manifest[8:])
	before := b.Bytes - int64(len(b.frame))
	if uint64(b.Events) != events || uint64(before) != size || !bytes.Equal(b.sum.Sum(nil), manifest[16:]) {
		return fmt.Errorf("%w: the backup has %d events in %d bytes, and its manifest, of %d events in %d bytes, is of another one",
			eventstore.ErrCorrupt, b.Events, before, events, size)
	}
	if _, err := b.in.ReadByte(); err == nil {
		return fmt.Errorf("%w: the backup goes on behind its end", eventstore.ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	copy(b.SHA256[:], manifest[16:])
	return nil
}

func (b *reader) damaged(how string) error {
	return fmt.Errorf("%w: the frame at byte %d of the backup %s", eventstore.ErrCorrupt, b.Bytes, how)
}

// cutShort makes an end where there should be none an error in the contract's
// words.
func cutShort(err error) error {
	if endOfStream(err) {
		return fmt.Errorf("%w: the backup was cut short", eventstore.ErrCorrupt)
	}
	return err
}

func endOfStream(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
