package index

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
)

// stored is a posting of a term.
type stored struct {
	term string
	posting
}

// randomStored returns postings in order: terms that begin alike, short and long
// lists, versions with and without gaps, positions near and far.
func randomStored(random *rand.Rand, from eventstore.Position) (all []stored) {
	var terms []string
	for i := range 60 {
		kind := []byte{kindStream, kindType, kindTag}[random.IntN(3)]
		name := fmt.Sprint("name-", i, strings.Repeat("x", random.IntN(2)*random.IntN(20)))
		if random.IntN(20) == 0 {
			name += strings.Repeat("long ", random.IntN(500))
		}
		terms = append(terms, string(appendTerm(nil, kind, name)))
	}
	slices.Sort(terms)
	for _, term := range terms {
		p := posting{position: from + eventstore.Position(random.IntN(100))}
		for range 1 + random.IntN(5) + random.IntN(6)/5*random.IntN(1500) {
			if term[0] == kindStream {
				p.version++
				if random.IntN(50) == 0 {
					p.version += eventstore.Version(random.Uint64N(1 << 50))
				}
			}
			all = append(all, stored{term, p})
			p.position += 1 + eventstore.Position(random.Int64N(20)/19*random.Int64N(1<<40))
		}
	}
	return all
}

// everything is a run of all positions.
var everything = &run{seed: TestSeed, id: 7, from: 1, through: math.MaxUint64}

// writeRun writes the postings as a run, and returns its blocks.
func writeRun(t testing.TB, b *bolt.Bucket, id uint64, all []stored) (keys [][]byte) {
	w := blockWriter{seed: TestSeed, run: id, emit: func(key, value []byte) error {
		keys = append(keys, bytes.Clone(key))
		if b == nil {
			return nil
		}
		return b.Put(bytes.Clone(key), bytes.Clone(value))
	}}
	for _, s := range all {
		require.NoError(t, w.add([]byte(s.term), s.posting))
	}
	require.NoError(t, w.close())
	require.Equal(t, len(keys), w.blocks)
	return keys
}

// withBucket calls write in a transaction with an empty bucket, and read in one with what it
// has then.
func withBucket(t testing.TB, write func(*bolt.Bucket), read func(*pages.Tx, *pages.Tree)) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "index.db"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte(Bucket))
		require.NoError(t, err)
		write(b)
		return nil
	}))
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		view := pages.View(tx)
		read(view, view.Bucket([]byte(Bucket)))
		return nil
	}))
}

// TestBlocks_HoldWhatWasWritten reads the postings back in order, from blocks of about
// blockSize. Each block begins where the previous one ends.
func TestBlocks_HoldWhatWasWritten(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	all := randomStored(rand.New(rand.NewPCG(seed, 0)), 1)
	var keys [][]byte
	withBucket(t, func(b *bolt.Bucket) { keys = writeRun(t, b, 7, all) }, func(_ *pages.Tx, b *pages.Tree) {
		var got []stored
		end, bytesOfAll := []byte{}, 0
		for _, key := range keys {
			value := b.Get(key)
			found, ok := everything.openBlock(key, value)
			require.True(t, ok)
			require.Equal(t, end, append([]byte{}, found.begin...))
			end = append([]byte{}, found.end...)
			pieces, long := pieceReader{rest: found.pieces, run: everything}, len(end) > 100
			for pieces.next() {
				long = long || len(pieces.term) > 100
				for more := true; more; more = pieces.step() {
					got = append(got, stored{string(pieces.term), pieces.at})
				}
			}
			require.False(t, pieces.broken)
			if !long {
				require.LessOrEqual(t, len(key)+len(value), blockSize+30)
			}
			bytesOfAll += len(key) + len(value)
		}
		require.Empty(t, end)
		require.Greater(t, bytesOfAll/len(keys), blockSize*3/4, "bytes of a block")
		if !slices.Equal(all, got) {
			require.Equal(t, all, got)
		}
	})
}

// TestRunList_AgreesWithSlices reads lists from anywhere in both directions.
func TestRunList_AgreesWithSlices(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	all := randomStored(random, 1)
	lists := map[string][]posting{}
	for _, s := range all {
		lists[s.term] = append(lists[s.term], s.posting)
	}
	withBucket(t, func(b *bolt.Bucket) {
		writeRun(t, b, 6, randomStored(random, 1))
		writeRun(t, b, 7, all)
		writeRun(t, b, 8, randomStored(random, 1))
	}, func(_ *pages.Tx, b *pages.Tree) {
		r := &Reader{last: math.MaxUint64, bucket: b}
		for term, want := range lists {
			requireLoads(t, random, &runList{r: r, run: everything, term: []byte(term)}, want)
			require.NoError(t, r.err)
		}
		absent := &runList{r: r, run: everything, term: []byte("gname-3\x00")}
		if _, there := lists["gname-3\x00"]; !there {
			require.Empty(t, absent.load(0, false, make([]posting, 4)))
			require.Empty(t, absent.load(math.MaxUint64, true, make([]posting, 4)))
			require.NoError(t, r.err)
		}
	})
}

// TestMerge_IsInOrder merges random runs and expects the order of terms and
// positions.
func TestMerge_IsInOrder(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var want []stored
	var runs manifest
	withBucket(t, func(b *bolt.Bucket) {
		for i := range 5 {
			all := randomStored(random, eventstore.Position(i)<<55+1)
			writeRun(t, b, uint64(i+1), all)
			runs = append(runs, &run{seed: TestSeed, id: uint64(i + 1), from: eventstore.Position(i) << 55, through: math.MaxUint64})
			want = append(want, all...)
		}
	}, func(tx *pages.Tx, _ *pages.Tree) {
		sort.SliceStable(want, func(i, j int) bool { return want[i].term < want[j].term })
		var got []stored
		m := newMerge(runs)
		for !m.done() {
			require.NoError(t, m.fill(tx))
			for piece := m.next(); piece != nil; piece = m.next() {
				for more := true; more; more = piece.step() {
					got = append(got, stored{string(piece.term), piece.at})
				}
			}
		}
		require.Empty(t, m.bad)
		if !slices.Equal(want, got) {
			require.Equal(t, want, got)
		}
	})
}

// FuzzBlock reads a block of random bytes. The iteration must end without a panic,
// and the postings before the damage must be in order.
func FuzzBlock(f *testing.F) {
	var keys [][]byte
	withBucket(f, func(b *bolt.Bucket) {
		keys = writeRun(f, b, 7, randomStored(rand.New(rand.NewPCG(1, 1)), 1))[:4]
	}, func(_ *pages.Tx, b *pages.Tree) {
		for _, key := range keys {
			value := bytes.Clone(b.Get(key))
			f.Add(key[8:], value[:len(value)-sumSize])
		}
	})
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, begin, value []byte) {
		key := append(runKey(7), begin...)
		if found, ok := everything.openBlock(key, value); ok {
			readBlock(t, found, len(value))
		}
		if found, ok := everything.openBlock(key, appendSum(TestSeed, key, bytes.Clone(value))); ok {
			readBlock(t, found, len(value))
			require.Equal(t, begin, append([]byte{}, found.begin...))
		}
	})
}

// readBlock iterates over all pieces of a block of size bytes.
func readBlock(t *testing.T, b block, size int) {
	pieces := pieceReader{rest: b.pieces, run: everything}
	postings, term, last := 0, "", eventstore.Position(0)
	for pieces.next() {
		require.False(t, pieces.broken)
		require.GreaterOrEqual(t, len(pieces.term), 2)
		before := posting{}
		if string(pieces.term) == term {
			before.position = last
		}
		require.GreaterOrEqual(t, string(pieces.term), term)
		term = string(pieces.term)
		first := true
		for more := true; more; more = pieces.step() {
			require.Greater(t, pieces.at.position, before.position)
			if !first && pieces.term[0] == kindStream {
				require.Equal(t, before.version+1, pieces.at.version)
			}
			before, first = pieces.at, false
			postings++
		}
		last = before.position
	}
	require.LessOrEqual(t, postings, size)
}

// FuzzStatus parses random bytes as a status: the result is a valid manifest or an
// error.
func FuzzStatus(f *testing.F) {
	status := func(runs ...*run) []byte {
		b := manifest(runs).status(TestSeed, 9)
		return b[:len(b)-sumSize]
	}
	f.Add(status())
	f.Add(status(&run{id: 1, from: 1, through: 7, terms: 3, postings: 9, blocks: 1, size: 64}))
	f.Add(status(&run{id: 3, level: 1, from: 1, through: 7000, terms: 300, postings: 900, blocks: 10, size: 640}, &run{id: 4, from: 7001, through: 7001, size: 64}))
	f.Add(status(&run{id: 1, from: 1, through: 7, size: 0}))
	f.Add(status(&run{id: 1, from: 1, through: 7, size: 63}))
	f.Add(status(&run{id: 1, from: 1, through: math.MaxUint64, size: 64}, &run{id: 2, from: 0, through: 3, size: 64}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, err := parseManifest(TestSeed, raw); err != nil {
			require.ErrorIs(t, err, ErrUnusable)
		}
		runs, created, err := parseManifest(TestSeed, appendSum(TestSeed, statusKey, bytes.Clone(raw)))
		if err != nil {
			require.True(t, errors.Is(err, ErrUnusable) && runs == nil)
			return
		}
		next := eventstore.Position(1)
		for _, r := range runs {
			require.Equal(t, next, r.from)
			require.GreaterOrEqual(t, r.through, r.from)
			require.True(t, r.size >= filterLine && r.size%filterLine == 0, "a filter of %d bytes", r.size)
			next = r.through + 1
			require.NotZero(t, next, "there is nothing behind the last position")
		}
		again, createdAgain, err := parseManifest(TestSeed, runs.status(TestSeed, created))
		require.NoError(t, err)
		require.Equal(t, created, createdAgain)
		require.Equal(t, runs, again)
	})
}
