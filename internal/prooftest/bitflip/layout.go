package bitflip

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

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

	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
)

// page is a page of the file, with its overflow.
type page struct {
	offset, size int
	role         string // what it holds: meta, freelist, free, or a bucket's leaf or branch
	count        int
}

// layout is the pages of a file in their order.
func layout(content []byte) ([]page, error) {
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

// newestMeta returns the offset of the meta page of the last transaction.
func (l *reader) newestMeta() int {
	transaction := func(offset int) uint64 { return binary.LittleEndian.Uint64(l.content[offset+headerBytes+48:]) }
	if transaction(l.size) > transaction(0) {
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
				l.walk(root, string(name))
			}
		}
	}
}

func (l *reader) pages() ([]page, error) {
	var pages []page
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
		pages = append(pages, page{offset: number * l.size, size: (1 + continues) * l.size, role: role,
			count: int(binary.LittleEndian.Uint16(p[10:]))})
		number += 1 + continues
	}
	return pages, nil
}

// span is a part of a file.
type span struct{ offset, size int }

// packHeads returns the heads of the packs of the log: the bytes before their
// records.
func packHeads(content []byte, pages []page) (heads []span) {
	for _, p := range pages {
		if p.role != "log leaf" {
			continue
		}
		for i := range p.count {
			at := p.offset + headerBytes + i*elementBytes
			element := content[at:]
			at += int(binary.LittleEndian.Uint32(element[4:]) + binary.LittleEndian.Uint32(element[8:])) // after the key
			value := content[at:][:binary.LittleEndian.Uint32(element[12:])]
			if v, err := record.ParseValue(math.MaxUint64, value); err == nil && v.First < v.Last {
				heads = append(heads, span{at, record.PackSize(int(v.Last-v.First)+1, 0)})
			}
		}
	}
	return heads
}

// structure returns the size of the page's header and element table.
func (p page) structure() int {
	switch p.role {
	case "meta":
		return headerBytes + metaBytes
	case "freelist":
		return headerBytes + 8*p.count
	case "free":
		return headerBytes
	default:
		return headerBytes + elementBytes*p.count
	}
}

// place returns what is at an offset of the file.
func place(pages []page, offset int) (role, field string) {
	for _, p := range pages {
		if offset >= p.offset+p.size {
			continue
		}
		at := offset - p.offset
		switch {
		case at < headerBytes:
			field = headerField(at)
		case p.role == "meta" && at < p.structure():
			field = fmt.Sprintf("meta byte %d", at-headerBytes)
		case at < p.structure() && p.role != "freelist":
			field = fmt.Sprintf("element %d, byte %d", (at-headerBytes)/elementBytes, (at-headerBytes)%elementBytes)
		default:
			field = fmt.Sprintf("byte %d", at)
		}
		return p.role, fmt.Sprintf("page %d, %s", p.offset/os.Getpagesize(), field)
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
