package index_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// FuzzReader puts any value under any key of an index, or deletes keys. All lookups
// must end, and either agree with the log or report that the index is not usable. If
// the Checker reports nothing, and the key was not new, all must agree. A forged
// value with a correct checksum may be believed, but every lookup must still end.
func FuzzReader(f *testing.F) {
	d := newDamaged(f)
	for _, p := range d.pairs {
		f.Add(p.key, p.value[:len(p.value)-4], uint16(0), uint16(0), false)
		f.Add(p.key, p.value[:len(p.value)-4], uint16(1), uint16(0), true)
	}
	f.Add([]byte{0}, []byte{}, uint16(500), uint16(3), false)
	f.Add(d.pairs[1].key, forged(nil, piece("sc1-1", 3, 9, 1, nil)), uint16(0), uint16(0), true)
	f.Fuzz(func(t *testing.T, key, value []byte, lost, damaged uint16, sealed bool) {
		put := len(key) > 0 && len(key) <= bolt.MaxKeySize
		known := slices.ContainsFunc(d.pairs, func(p pair) bool { return bytes.Equal(p.key, key) })
		if sealed {
			value = index.Seal(key, value)
		}
		damage := func(b *bolt.Bucket) error {
			if put {
				require.NoError(t, b.Put(key, value))
			}
			d.mutate(t, b, lost, damaged)
			return nil
		}
		d.with(t, damage, func(tx *pages.Tx) {
			if sealed {
				d.end(t, tx)
				return
			}
			if o := d.examine(t, tx, true); !o.refused && !o.objected && (known || !put) {
				require.False(t, o.untold, "the Checker objects to nothing")
			}
		})
	})
}

// mutate deletes the pair with number lost and changes a byte of the value with
// number damaged, unless the numbers are 0.
func (d *damaged) mutate(t testing.TB, b *bolt.Bucket, lost, damaged uint16) {
	if lost > 0 {
		require.NoError(t, b.Delete(d.pairs[int(lost)%len(d.pairs)].key))
	}
	if damaged > 0 {
		p := d.pairs[int(damaged)%len(d.pairs)]
		value := bytes.Clone(p.value)
		value[int(damaged)/len(d.pairs)%len(value)]++
		require.NoError(t, b.Put(p.key, value))
	}
}

// end asks all questions, ignores the answers, and walks with a Checker.
func (d *damaged) end(t testing.TB, tx *pages.Tx) {
	x, err := index.Open(tx, index.TestSeed, large)
	if err != nil {
		require.ErrorIs(t, err, index.ErrUnusable)
		return
	}
	for _, x := range []*index.Index{x, d.old} {
		r, err := x.Snapshot().Reader(tx, min(x.Through(), damagedEvents))
		if err != nil {
			require.ErrorIs(t, err, index.ErrUnusable)
			continue
		}
		for i := range d.questions {
			d.questions[i].ask(r)
		}
	}
	if _, _, err := check(inTx{tx: tx}, x, d.log, false); err != nil {
		require.ErrorIs(t, err, index.ErrUnusable)
	}
}

// TestReader_EndsOnBlocksThatAreForged puts blocks with correct checksums and
// invalid content.
func TestReader_EndsOnBlocksThatAreForged(t *testing.T) {
	d := newDamaged(t)
	blocks := map[string]func(key, value []byte) []byte{
		"nothing":          func([]byte, []byte) []byte { return nil },
		"no pieces":        func([]byte, []byte) []byte { return forged(nil, nil) },
		"ends at itself":   func(key, _ []byte) []byte { return forged(key[8:], nil) },
		"ends at once":     func([]byte, []byte) []byte { return forged([]byte("c"), nil) },
		"position 0":       func([]byte, []byte) []byte { return forged(nil, piece("sc1-1", 0, 9, 1, nil)) },
		"no postings":      func([]byte, []byte) []byte { return forged(nil, piece("sc1-1", 1, 1, 0, nil)) },
		"more than it has": func([]byte, []byte) []byte { return forged(nil, piece("sc1-1", 1, 1, 9, []byte{1, 1})) },
		"twice the same":   func([]byte, []byte) []byte { return forged(nil, piece("sc1-1", 1, 1, 3, []byte{1, 0})) },
		"past all":         func([]byte, []byte) []byte { return forged(nil, piece("sc1-1", 1<<64-1, 1, 2, []byte{1})) },
		"no term":          func([]byte, []byte) []byte { return forged(nil, piece("", 1, 1, 1, nil)) },
		"backward": func([]byte, []byte) []byte {
			return forged(nil, append(piece("sc1-1", 90, 1<<64-1, 1, nil), piece("sc1-1", 3, 9, 1, nil)...))
		},
	}
	for name, forge := range blocks {
		t.Run(name, func(t *testing.T) {
			for _, p := range d.pairs[1:] {
				d.endWith(t, p.key, forge(p.key, p.value))
			}
		})
	}
	t.Run("the whole status", func(t *testing.T) {
		status := d.pairs[0].value[:len(d.pairs[0].value)-4]
		for i := 4; i < len(status); i++ {
			for _, c := range []byte{0, 1, 0x7f, 0xff} {
				value := bytes.Clone(status)
				value[i] = c
				require.NotPanics(t, func() { d.endWith(t, []byte{0}, value) }, "byte %d is %d", i, c)
			}
		}
	})
}

// endWith asks all questions with a value, and its correct checksum, under a key.
func (d *damaged) endWith(t testing.TB, key, value []byte) {
	d.with(t, func(b *bolt.Bucket) error { return b.Put(key, index.Seal(key, value)) }, func(tx *pages.Tx) { d.end(t, tx) })
}

// forged returns a block without its checksum.
func forged(end, pieces []byte) []byte {
	return append(append(binary.AppendUvarint(nil, uint64(len(end))), end...), pieces...)
}

// piece returns a block's first piece.
func piece(term string, p eventstore.Position, v eventstore.Version, count uint64, deltas []byte) []byte {
	term += "\x00"
	b := binary.AppendUvarint([]byte{0}, uint64(len(term)))
	b = binary.AppendUvarint(append(b, term...), uint64(p))
	if term[0] == 's' {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = binary.AppendUvarint(b, count)
	return append(binary.AppendUvarint(b, uint64(len(deltas))), deltas...)
}
