// Package layout reads the pages of a bbolt file: which bucket each belongs to, and what
// its fields are. It trusts the file; proofs use it on files that are not damaged.
package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/yore-es/yore/internal/record"
)

// A bbolt file is pages. A page begins with its number (8 bytes), flags (2), the
// number of its elements (2), and the number of overflow pages (4). Elements of 16
// bytes follow, and then, in leaves, keys and values. A value that is a bucket
// begins with the number of its root page. Integers are in the machine's byte order,
// which must be little-endian here.

const (
	headerBytes  = 16
	elementBytes = 16
	metaBytes    = 64 // after the header, with the checksum in the last 8

	branchPage = 0x01
)

// Page is a page of the file, with its overflow.
type Page struct {
	Offset, Size int
	Role         string // what it holds: meta, freelist, free, or a bucket's leaf or branch, such as "rows/stock leaf"
	Count        int    // of its elements
	First        string // the key of its first element, for a leaf or branch
}

// Pages returns the pages of a file in their order.
func Pages(content []byte) ([]Page, error) {
	l := &reader{content: content, size: os.Getpagesize(), roles: make(map[int]string)}
	newest := l.newestMeta()
	meta := content[newest+headerBytes:]
	l.roles[int(binary.LittleEndian.Uint64(meta[32:]))] = "freelist"
	l.walk(int(binary.LittleEndian.Uint64(meta[16:])), "root")
	return l.pages()
}

type reader struct {
	content []byte
	size    int
	roles   map[int]string // by page number
}

// Newest returns the page of the meta page of the last transaction, 0 or 1, and the
// number of that transaction.
func Newest(content []byte) (page int, transaction uint64) {
	l := &reader{content: content, size: os.Getpagesize()}
	at := l.newestMeta()
	return at / l.size, l.transaction(at)
}

// transaction returns the transaction of the meta page at an offset.
func (l *reader) transaction(offset int) uint64 {
	return binary.LittleEndian.Uint64(l.content[offset+headerBytes+48:])
}

// newestMeta returns the offset of the meta page of the last transaction.
func (l *reader) newestMeta() int {
	if l.transaction(l.size) > l.transaction(0) {
		return l.size
	}
	return 0
}

// walk sets the roles of a page of a bucket and of all pages below it.
func (l *reader) walk(number int, bucket string) {
	p := l.content[number*l.size:]
	flags, count := binary.LittleEndian.Uint16(p[8:]), int(binary.LittleEndian.Uint16(p[10:]))
	kind := " leaf"
	if flags == branchPage {
		kind = " branch"
	}
	l.roles[number] = bucket + kind
	for i := range count {
		element := p[headerBytes+i*elementBytes:]
		if flags == branchPage {
			l.walk(int(binary.LittleEndian.Uint64(element[8:])), bucket)
			continue
		}
		isBucket := binary.LittleEndian.Uint32(element)&1 == 1
		at, keySize := int(binary.LittleEndian.Uint32(element[4:])), int(binary.LittleEndian.Uint32(element[8:]))
		if isBucket {
			name, value := element[at:][:keySize], element[at+keySize:]
			if root := int(binary.LittleEndian.Uint64(value)); root != 0 { // otherwise the bucket is inline
				l.walk(root, path(bucket, string(name)))
			}
		}
	}
}

// path returns the name of a bucket within another.
func path(parent, name string) string {
	if parent == "root" {
		return name
	}
	return parent + "/" + name
}

func (l *reader) pages() ([]Page, error) {
	var pages []Page
	for number := 0; number*l.size < len(l.content); {
		p := l.content[number*l.size:]
		role, used := l.roles[number]
		continues := int(binary.LittleEndian.Uint32(p[12:]))
		switch {
		case number < 2:
			role, continues = "meta", 0
		case !used:
			role, continues = "free", 0
		case int(binary.LittleEndian.Uint64(p)) != number:
			return nil, fmt.Errorf("page %d says that it is page %d", number, binary.LittleEndian.Uint64(p))
		}
		pages = append(pages, Page{Offset: number * l.size, Size: (1 + continues) * l.size, Role: role,
			Count: int(binary.LittleEndian.Uint16(p[10:])), First: l.first(p, role)})
		number += 1 + continues
	}
	return pages, nil
}

// first returns the key of the first element of a leaf or branch.
func (l *reader) first(p []byte, role string) string {
	element := p[headerBytes:]
	at, size := 4, 8 // where a leaf has the offset and the size of a key
	switch {
	case binary.LittleEndian.Uint16(p[10:]) == 0, role == "meta", role == "freelist", role == "free":
		return ""
	case strings.HasSuffix(role, " branch"):
		at, size = 0, 4
	}
	start := binary.LittleEndian.Uint32(element[at:])
	return string(element[start:][:binary.LittleEndian.Uint32(element[size:])])
}

// Span is a part of a file.
type Span struct{ Offset, Size int }

// PackHeads returns the heads of the packs of the log: the bytes before their
// records.
func PackHeads(content []byte, pages []Page) (heads []Span) {
	for _, p := range pages {
		if p.Role != "log leaf" {
			continue
		}
		for i := range p.Count {
			at := p.Offset + headerBytes + i*elementBytes
			element := content[at:]
			at += int(binary.LittleEndian.Uint32(element[4:]) + binary.LittleEndian.Uint32(element[8:])) // after the key
			value := content[at:][:binary.LittleEndian.Uint32(element[12:])]
			if v, err := record.ParseValue(math.MaxUint64, value); err == nil && v.First < v.Last {
				heads = append(heads, Span{at, record.PackSize(int(v.Last-v.First)+1, 0)})
			}
		}
	}
	return heads
}

// Structure returns the size of the page's header and element table.
func (p Page) Structure() int {
	switch p.Role {
	case "meta":
		return headerBytes + metaBytes
	case "freelist":
		return headerBytes + 8*p.Count
	case "free":
		return headerBytes
	default:
		return headerBytes + elementBytes*p.Count
	}
}

// Place returns what is at an offset of the file.
func Place(pages []Page, offset int) (role, field string) {
	for _, p := range pages {
		if offset >= p.Offset+p.Size {
			continue
		}
		at := offset - p.Offset
		switch {
		case at < headerBytes:
			field = headerField(at)
		case p.Role == "meta" && at < p.Structure():
			field = fmt.Sprintf("meta byte %d", at-headerBytes)
		case at < p.Structure() && p.Role != "freelist":
			field = fmt.Sprintf("element %d, byte %d", (at-headerBytes)/elementBytes, (at-headerBytes)%elementBytes)
		default:
			field = fmt.Sprintf("byte %d", at)
		}
		return p.Role, fmt.Sprintf("page %d, %s", p.Offset/os.Getpagesize(), field)
	}
	return "end", ""
}

func headerField(at int) string {
	switch {
	case at < 8:
		return "header: number"
	case at < 10:
		return "header: flags"
	case at < 12:
		return "header: count"
	default:
		return "header: overflow"
	}
}
