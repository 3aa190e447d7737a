package index

import (
	"bytes"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Stray reports, from the key from on and among at most limit postings, those
// that are whole and that their event must not have: what [Scan] counts and
// [Check] does not. entry returns what the index has to know of the event at a
// position, and whether that is known. It returns the key to go on from, nil at
// the end.
func Stray(tx *bolt.Tx, from []byte, limit int, entry func(eventstore.Position) (Entry, bool), report func(p eventstore.Position, problem string)) (next []byte, err error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return nil, fmt.Errorf("%w: there is none", ErrUnusable)
	}
	through, err := Through(tx)
	if err != nil {
		return nil, err
	}
	cursor := b.Cursor()
	key, sealed := cursor.Seek(from)
	for n := 0; key != nil && n < limit; n++ {
		if p, _, problem := open(key, sealed); problem == "" && !bytes.Equal(key, statusKey) {
			e, known := entry(p)
			if p == 0 || p > through || known && !has(&e, key) {
				report(p, fmt.Sprintf("the index has %s, which it must not have", describe(key)))
			}
		}
		key, sealed = cursor.Next()
	}
	return bytes.Clone(key), nil
}

// has reports whether the entry's postings include one with this key.
func has(e *Entry, key []byte) bool {
	for _, p := range appendPostings(nil, e) {
		if bytes.Equal(p.key, key) {
			return true
		}
	}
	return false
}
