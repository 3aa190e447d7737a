package projection

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/yore-es/yore/internal/quote"
)

// Cursor marks the end of a page of rows: a row of a table, or a value and a row of an index.
// It is text of at most 6 KiB that needs no escape in a URL. It stays valid when rows are
// added, changed and deleted, also its own row, and when the projection is rebuilt. The zero
// Cursor is before the first row.
//
// A Cursor is neither secret nor signed: it holds the key of a row, and for an index the
// value.
type Cursor string

// storedTable is the stored table of a table or an index.
type storedTable struct {
	table string // its name
	// shape returns the names of projection, table and index, and the kinds of their
	// keys. A cursor of a table with another shape is refused.
	shape func() string
}

// cursorSum is the number of bytes of the checksum in a cursor.
const cursorSum = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cursorText encodes cursors in characters that need no escape in a URL.
var cursorText = base64.RawURLEncoding

// cursor returns the cursor after a stored key.
func (t storedTable) cursor(key []byte) Cursor {
	data := append(make([]byte, cursorSum, cursorSum+len(key)), key...)
	binary.BigEndian.PutUint32(data, t.sum(key))
	return Cursor(cursorText.EncodeToString(data))
}

// key returns the stored key of a cursor. It is ErrInvalid for text that is no cursor of
// this table.
func (t storedTable) key(c Cursor) ([]byte, error) {
	data, err := cursorText.DecodeString(string(c))
	// Decode ignores line breaks and unused bits, so the text is compared, too.
	if err != nil || len(data) <= cursorSum || Cursor(cursorText.EncodeToString(data)) != c ||
		binary.BigEndian.Uint32(data) != t.sum(data[cursorSum:]) {
		return nil, invalidf("cursor %s is damaged, or is of another table or index", quote.Name(string(c)))
	}
	return data[cursorSum:], nil
}

// sum returns the checksum of a cursor after a stored key.
func (t storedTable) sum(key []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(t.shape()), castagnoli), castagnoli, key)
}
