package index

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Check reports, for each entry, the postings that it must have and that are
// not there as they should be. It returns how many are. Together with [Scan],
// which counts what there is, it proves the index right: nothing missing, and
// nothing too many.
func Check(tx *bolt.Tx, entries []Entry, report func(p eventstore.Position, problem string)) (found int, err error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return 0, fmt.Errorf("%w: there is none", ErrUnusable)
	}
	for i := range entries {
		for _, want := range appendPostings(nil, &entries[i]) {
			switch got := b.Get(want.key); {
			case got == nil:
				report(entries[i].Position, fmt.Sprintf("the index lacks %s", describe(want.key)))
			case !bytes.Equal(got, want.value):
				report(entries[i].Position, fmt.Sprintf("the index has something else for %s", describe(want.key)))
			default:
				found++
			}
		}
	}
	return found, nil
}

// Scan goes over the postings from the key from on, at most limit of them, nil
// being the beginning. It reports those that are damaged and the versions of a
// stream that do not follow each other, and returns how many whole postings have
// a position up to last, and the key to go on from, nil at the end.
func Scan(tx *bolt.Tx, from []byte, limit int, last eventstore.Position, report func(p eventstore.Position, problem string)) (count int, next []byte, err error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return 0, nil, fmt.Errorf("%w: there is none", ErrUnusable)
	}
	cursor := b.Cursor()
	var previous []byte // the posting before, for the version that comes next
	var version uint64
	if from != nil {
		cursor.Seek(from)
		if key, sealed := cursor.Prev(); key != nil {
			if value, ok := unseal(key, sealed); ok && len(value) == 8 {
				previous, version = bytes.Clone(key), binary.BigEndian.Uint64(value)
			}
		}
	}
	key, sealed := cursor.Seek(from)
	for n := 0; key != nil && n < limit; n++ {
		if !bytes.Equal(key, statusKey) {
			p, value, problem := open(key, sealed)
			if problem == "" && key[0] == kindStream {
				want := uint64(1)
				if sameTerm(previous, key) {
					want = version + 1
				}
				if version = binary.BigEndian.Uint64(value); version != want {
					problem = fmt.Sprintf("the index has version %d where version %d comes next, in %s", version, want, describe(key))
				}
				previous = append(previous[:0], key...)
			}
			switch {
			case problem != "":
				report(p, problem)
			case p <= last:
				count++
			}
		}
		key, sealed = cursor.Next()
	}
	return count, bytes.Clone(key), nil
}

// open returns what a posting holds, or what is wrong with it.
func open(key, sealed []byte) (p eventstore.Position, value []byte, problem string) {
	term := len(key) - 8
	if term < 2 || key[term-1] != 0 || bytes.IndexByte(key[:term], 0) != term-1 {
		return 0, nil, fmt.Sprintf("the index has a key that is no posting: %q", key)
	}
	p = eventstore.Position(binary.BigEndian.Uint64(key[term:]))
	value, ok := unseal(key, sealed)
	if !ok || key[0] == kindStream && len(value) != 8 {
		return p, nil, fmt.Sprintf("the index has a damaged posting: %s", describe(key))
	}
	return p, value, ""
}

// sameTerm reports whether two postings are of one term.
func sameTerm(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 8 && bytes.Equal(a[:len(a)-8], b[:len(b)-8])
}

var kinds = map[byte]string{
	kindStream: "stream", kindCategory: "category", kindType: "type", kindTag: "tag", kindKey: "key",
}

// describe says what a posting's key says.
func describe(key []byte) string {
	term := len(key) - 8
	if term < 2 {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%s %q at position %d", kinds[key[0]], key[1:term-1], binary.BigEndian.Uint64(key[term:]))
}
