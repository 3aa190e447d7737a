package jsonl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// Reader reads lines of bounded length. It is not safe for concurrent use.
type Reader struct {
	r      *bufio.Reader
	limit  int
	line   []byte // for lines longer than the buffer of r
	Number int    // of the last line read, from 1; 0 before the first
}

// NewReader returns a Reader of r that refuses lines of more than limit bytes, newline
// included.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 256<<10), limit: limit}
}

// Next returns the next line without its newline, or io.EOF. The last line need not have a
// newline. The line is valid until the next call. One that is too long matches ErrInvalid;
// other errors are those of the underlying reader.
func (l *Reader) Next() ([]byte, error) {
	l.Number++
	l.line = l.line[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.line)+len(part) > l.limit {
			return nil, fmt.Errorf("%w: it is longer than %d bytes, and no event needs that", eventstore.ErrInvalid, l.limit)
		}
		switch {
		case err == nil && len(l.line) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			l.line = append(l.line, part...)
			return l.line[:len(l.line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull), errors.Is(err, io.EOF):
			l.line = append(l.line, part...)
		default:
			return nil, err
		}
		if errors.Is(err, io.EOF) {
			if len(l.line) == 0 {
				return nil, io.EOF
			}
			return l.line, nil
		}
	}
}

// Differs returns the name of the first field in which two records of one position differ,
// or "".
func Differs(a, b *record.Record) string {
	x, y := &a.Event, &b.Event
	switch {
	case x.ID != y.ID:
		return "id"
	case x.Stream != y.Stream:
		return "stream"
	case x.Version != y.Version:
		return "version"
	case x.Type != y.Type:
		return "type"
	case a.Place != b.Place || a.Key != b.Key || !bytes.Equal(a.Digest, b.Digest):
		return "commit"
	case x.SchemaVersion != y.SchemaVersion:
		return "schema_version"
	case x.Codec != y.Codec:
		return "codec"
	case !x.Recorded.Equal(y.Recorded):
		return "recorded"
	case !x.Time.Equal(y.Time):
		return "time"
	case !slices.Equal(x.Tags, y.Tags):
		return "tags"
	case !maps.Equal(x.Metadata, y.Metadata):
		return "metadata"
	case !bytes.Equal(x.Data, y.Data):
		return "data"
	}
	return ""
}
