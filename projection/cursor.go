package projection

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/yore-es/yore/internal/quote"
)

// Cursor says where a page of rows ended: after which row of a table, or after
// which value and row of an index. It is text that fits into a URL as it is, of at
// most 6 KiB. It stays good when rows are added, changed and deleted, also the one
// that it names, and when the projection is rebuilt. The zero Cursor is before the
// first row.
//
// A Cursor is no secret and no permission: it holds the key of a row, and for an
// index the value.
type Cursor string

// place is where the rows of a scan are stored, and what a cursor must be of.
type place struct {
	table string // as stored
	// shape names projection, table and index, and says of what kinds their keys
	// are: a cursor into another place is refused.
	shape func() string
}

// cursorSum is how many bytes of a cursor are its checksum.
const cursorSum = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cursorText is the alphabet of cursors: it needs no escape in a URL.
var cursorText = base64.RawURLEncoding

// cursor returns the cursor after a stored key.
func (p place) cursor(key []byte) Cursor {
	data := append(make([]byte, cursorSum, cursorSum+len(key)), key...)
	binary.BigEndian.PutUint32(data, p.sum(key))
	return Cursor(cursorText.EncodeToString(data))
}

// key returns the stored key that a cursor is after. It is ErrInvalid for text that
// no cursor into this place has.
func (p place) key(c Cursor) ([]byte, error) {
	data, err := cursorText.DecodeString(string(c))
	// Decode passes over line breaks and over bits that encode nothing.
	if err != nil || len(data) <= cursorSum || Cursor(cursorText.EncodeToString(data)) != c ||
		binary.BigEndian.Uint32(data) != p.sum(data[cursorSum:]) {
		return nil, invalidf("cursor %s is damaged, or not of this table or index", quote.Name(string(c)))
	}
	return data[cursorSum:], nil
}

// sum is the checksum of a cursor.
func (p place) sum(key []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(p.shape()), castagnoli), castagnoli, key)
}
