package index_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// pair is a key of the bucket and its value.
type pair struct{ key, value []byte }

func pairs(t testing.TB, tx *pages.Tx) (all []pair) {
	t.Helper()
	for key, value := range tx.Bucket([]byte(index.Bucket)).All() {
		all = append(all, pair{bytes.Clone(key), bytes.Clone(value)})
	}
	return all
}

// inTx is a file whose transactions are all tx.
type inTx struct {
	index.File
	tx *pages.Tx
}

func (f inTx) ReadTx(fn func(*pages.Tx) error) error { return fn(f.tx) }

// damaged is an index on which damage is tried. It has several runs, and the rest of
// two runs that were not deleted.
type damaged struct {
	*file
	log       []index.Entry
	questions []question
	old       *index.Index // opened before the damage, with all filters in memory
	pairs     []pair
	runs      []uint64
}

const damagedEvents = 120

func newDamaged(t testing.TB) *damaged {
	d := &damaged{file: newFile(t), log: shape{streams: 6, types: 2, tags: 5}.log(rand.New(rand.NewPCG(1, 2)), damagedEvents)}
	for i := range d.log {
		if d.log[i].Key != "" {
			d.log[i].Key += " is a key that fills blocks"
		}
	}
	free := slices.IndexFunc(d.log, func(e index.Entry) bool { return e.Stream == "" })
	d.log[free] = index.Entry{Position: d.log[free].Position, Unknown: true}
	d.questions = upTo(d.log, damagedEvents).all()
	x := d.open(t, large)
	for _, group := range split(d.log, 10) {
		add(x, group...)
		require.True(t, x.Freeze(true))
	}
	d.before = func(write int) error {
		if write > 10+1+6 { // runs written, merged, deleted
			return errInjected
		}
		return nil
	}
	require.ErrorIs(t, x.Maintain(d.file), errInjected)
	d.old = d.open(t, large)
	require.NoError(t, d.ReadTx(func(tx *pages.Tx) (err error) {
		d.pairs = pairs(t, tx)
		d.runs, _, err = index.Runs(tx)
		return err
	}))
	require.Len(t, d.runs, 3)
	require.Equal(t, len(d.questions), d.ask(t, d.file, d.old, nil))
	return d
}

// ask asks all questions and returns how many were answered.
func (d *damaged) ask(t testing.TB, f index.File, x *index.Index, may error) (told int) {
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		var r *index.Reader
		for i := range d.questions {
			if r == nil || r.Err() != nil {
				var err error
				if r, err = x.Snapshot().Reader(tx, damagedEvents); err != nil {
					require.ErrorIs(t, err, may)
					return nil
				}
			}
			if d.questions[i].tells(t, r, may) {
				told++
			}
		}
		return nil
	}))
	return told
}

// outcome is how damage was noticed: Open refused the index; the Checker reported a
// problem; a question was not answered.
type outcome struct{ refused, objected, untold bool }

// with damages the index, calls fn in a transaction, and undoes the damage.
func (d *damaged) with(t testing.TB, damage func(*bolt.Bucket) error, fn func(tx *pages.Tx)) {
	t.Helper()
	change := func(change func(*bolt.Bucket) error) {
		require.NoError(t, d.Update(func(tx *bolt.Tx) error { return change(tx.Bucket([]byte(index.Bucket))) }))
	}
	change(damage)
	defer change(d.restore)
	require.NoError(t, d.ReadTx(func(tx *pages.Tx) error {
		fn(tx)
		return nil
	}))
}

// restore gives the bucket the pairs that it had before it was damaged.
func (d *damaged) restore(b *bolt.Bucket) (err error) {
	var stray [][]byte
	err = b.ForEach(func(key, _ []byte) error {
		if !slices.ContainsFunc(d.pairs, func(p pair) bool { return bytes.Equal(p.key, key) }) {
			stray = append(stray, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range stray {
		err = errors.Join(err, b.Delete(key))
	}
	for _, p := range d.pairs {
		if value := b.Get(p.key); value == nil || !bytes.Equal(value, p.value) {
			err = errors.Join(err, b.Put(p.key, p.value))
		}
	}
	return err
}

// try damages the index, asks all questions, and undoes the damage.
func (d *damaged) try(t testing.TB, alsoOld bool, damage func(*bolt.Bucket) error) (o outcome) {
	t.Helper()
	d.with(t, damage, func(tx *pages.Tx) { o = d.examine(t, tx, alsoOld) })
	return o
}

// examine asks all questions.
func (d *damaged) examine(t testing.TB, tx *pages.Tx, alsoOld bool) (o outcome) {
	t.Helper()
	f := inTx{tx: tx}
	if alsoOld {
		d.ask(t, f, d.old, index.ErrUnusable)
	}
	x, err := index.Open(tx, index.TestSeed, large)
	if err != nil {
		require.ErrorIs(t, err, index.ErrUnusable)
		return outcome{refused: true}
	}
	o.untold = d.ask(t, f, x, index.ErrUnusable) < len(d.questions)
	differing, problems, err := check(f, x, d.log, false)
	require.NoError(t, err)
	o.objected = len(differing) > 0 || len(problems) > 0
	return o
}

// want returns how a change of a key's value must be noticed.
func (d *damaged) want(key []byte) outcome {
	switch {
	case len(key) == 1: // the status
		return outcome{refused: true}
	case slices.Contains(d.runs, binary.BigEndian.Uint64(key)):
		return outcome{objected: true, untold: true}
	default: // not part of the index
		return outcome{}
	}
}

func (d *damaged) isFilter(key []byte) bool { return len(key) > 8 && key[8] == index.FilterMark }

func TestDamage_OfAnyByteIsNoticed(t *testing.T) {
	t.Parallel()
	d := newDamaged(t)
	kinds := map[string]int{}
	for _, p := range d.pairs {
		for i := 0; i < len(p.value); i += d.stride(p) {
			o := d.try(t, i%16 == 0, func(b *bolt.Bucket) error {
				value := bytes.Clone(p.value)
				value[i] ^= 1 << (i % 8)
				return b.Put(p.key, value)
			})
			require.Equal(t, d.want(p.key), o, "byte %d of the value of %x", i, p.key)
		}
		kinds[fmt.Sprint(d.want(p.key), d.isFilter(p.key))]++
	}
	require.Len(t, kinds, 5, "the status, and blocks and filters in use and not")
	require.Greater(t, kinds[fmt.Sprint(outcome{objected: true, untold: true}, false)], 3, "no run has several blocks")
}

// stride is 1 where every byte is damaged, and more for values outside the index.
func (d *damaged) stride(p pair) int {
	if d.want(p.key) == (outcome{}) {
		return 7
	}
	return 1
}

func TestDamage_OfAnyKeyIsNoticed(t *testing.T) {
	t.Parallel()
	d := newDamaged(t)
	for i, p := range d.pairs {
		next := d.pairs[(i+1)%len(d.pairs)]
		moved := func(change func(key []byte) []byte) func(*bolt.Bucket) error {
			return func(b *bolt.Bucket) error {
				if err := b.Delete(p.key); err != nil {
					return err
				}
				return b.Put(change(bytes.Clone(p.key)), p.value)
			}
		}
		put := func(value []byte) func(*bolt.Bucket) error {
			return func(b *bolt.Bucket) error { return b.Put(p.key, value) }
		}
		changes := map[string]func(*bolt.Bucket) error{
			"deleted":              func(b *bolt.Bucket) error { return b.Delete(p.key) },
			"moved a bit":          moved(func(key []byte) []byte { key[len(key)-1] ^= 1; return key }),
			"moved to longer":      moved(func(key []byte) []byte { return append(key, 0) }),
			"empty":                put(nil),
			"cut short":            put(p.value[:len(p.value)-1]),
			"longer":               put(append(bytes.Clone(p.value), 0)),
			"that of another key":  put(next.value),
			"moved to another run": moved(func(key []byte) []byte { key[min(7, len(key)-1)] ^= 0x40; return key }),
		}
		for name, change := range changes {
			o := d.try(t, true, change)
			if len(p.key) > 8 || len(p.key) == 1 || name != "moved a bit" && name != "moved to longer" {
				require.Equal(t, d.want(p.key), o, "%x %s", p.key, name)
			}
		}
	}
}

// TestDamage_StrayKeysDoNoHarm puts keys where none belong. No answer may be wrong;
// questions may be left unanswered.
func TestDamage_StrayKeysDoNoHarm(t *testing.T) {
	d := newDamaged(t)
	refused := 0
	for _, p := range d.pairs {
		for _, tail := range []string{"", "\x00", "g", "zz"} {
			key := append(bytes.Clone(p.key), tail...)
			key = key[:len(key)-1]
			if len(key) == 0 || slices.ContainsFunc(d.pairs, func(p pair) bool { return bytes.Equal(p.key, key) }) {
				continue
			}
			for _, value := range [][]byte{nil, p.value, []byte("12345")} {
				o := d.try(t, true, func(b *bolt.Bucket) error { return b.Put(key, value) })
				if o.refused {
					refused++
				}
			}
		}
	}
	require.Positive(t, refused)
}
