package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/yore-es/yore/internal/reserved"
)

// DeriveCommandID returns the command id that belongs to these parts, such as a user, a route
// and the key that a client has sent, or the id of a message and the number of the command
// that it led to. The same parts give the same id, in every program and release; other parts,
// or the same in another order, give another one. It is a valid command id, whatever the
// parts: they are joined with slashes, with some of their characters escaped, and an id that
// would be longer than 255 bytes ends in a hash instead.
func DeriveCommandID(part string, more ...string) string {
	var b strings.Builder
	writePart(&b, part)
	for _, next := range more {
		b.WriteByte('/')
		writePart(&b, next)
	}
	id := b.String()
	if strings.HasPrefix(id, "yore/") { // which is the library's own
		id = "%79" + id[1:]
	}
	return withinLimit(id)
}

// InboundKey returns the key, or the command id, for what a message from outside leads to:
// source names where it comes from, such as a webhook or a topic, and id is its id there. The
// message may come again, or to two programs: what is appended with its key, is appended once.
// The key begins with "yore/in/", so that no command id of an application can be the same. It
// is valid whatever source and id are, and made of them as by [DeriveCommandID].
func InboundKey(source, id string) string {
	var b strings.Builder
	b.WriteString(reserved.Inbound)
	writePart(&b, source)
	b.WriteByte('/')
	writePart(&b, id)
	return withinLimit(b.String())
}

// withinLimit returns an id that is not too long. A longer one ends in a hash.
func withinLimit(id string) string {
	limit := StandardLimits().NameBytes
	if len(id) <= limit {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	end := "//" + hex.EncodeToString(sum[:]) // no other id has an empty part
	return strings.ToValidUTF8(id[:limit-len(end)], "") + end
}

// writePart writes a part so that it differs from every other one. A part that is empty is a
// single "%".
func writePart(b *strings.Builder, part string) {
	if part == "" {
		b.WriteByte('%')
	}
	for len(part) > 0 {
		r, size := utf8.DecodeRuneInString(part)
		if r == utf8.RuneError && size == 1 || r < ' ' || r == 0x7f || r == '%' || r == '/' {
			fmt.Fprintf(b, "%%%02X", part[0])
		} else {
			b.WriteString(part[:size])
		}
		part = part[size:]
	}
}
