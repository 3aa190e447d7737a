package index_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// file is a file with an index.
type file struct {
	*bolt.DB
	writes int
	before func(write int) error // called before each write, numbered from 1, unless nil
}

// ReadTx implements index.File.
func (f *file) ReadTx(fn func(*pages.Tx) error) error {
	return f.View(func(tx *bolt.Tx) error { return fn(pages.View(tx)) })
}

// Write implements index.File.
func (f *file) Write(s *index.Slice) error {
	f.writes++
	if f.before != nil {
		if err := f.before(f.writes); err != nil {
			return err
		}
	}
	return f.Update(func(tx *bolt.Tx) error { return s.Apply(pages.Write(tx)) })
}

func newFile(t testing.TB) *file {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "index.db"), 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Update(create))
	return &file{DB: db}
}

// large are limits that no test reaches.
var large = index.Limits{Bytes: 1 << 30, Events: 1 << 30}

func (f *file) open(t testing.TB, limits index.Limits) *index.Index {
	var x *index.Index
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) (err error) {
		x, err = index.Open(tx, index.TestSeed, limits)
		return err
	}))
	return x
}

// read calls fn with a reader of a snapshot and a new transaction.
func (f *file) read(t testing.TB, snapshot *index.Snapshot, last eventstore.Position, fn func(*index.Reader)) {
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		reader, err := snapshot.Reader(tx, last)
		require.NoError(t, err)
		fn(reader)
		return nil
	}))
}

func add(x *index.Index, entries ...index.Entry) {
	x.Add(len(entries), func(i int) index.Entry { return entries[i] })
}

// written returns a file with an index that has a run for each group. Eight groups or
// more are merged.
func written(t testing.TB, groups ...[]index.Entry) (*file, *index.Index) {
	f := newFile(t)
	x := f.open(t, large)
	for _, group := range groups {
		add(x, group...)
		require.True(t, x.Freeze(true))
		require.NoError(t, x.Maintain(f))
	}
	return f, x
}

// split splits the log into n groups.
func split(log []index.Entry, n int) (groups [][]index.Entry) {
	for i := range n {
		groups = append(groups, log[i*len(log)/n:(i+1)*len(log)/n])
	}
	return groups
}

// check adds the events to a Checker and returns what it reports.
func check(f index.File, x *index.Index, log []index.Entry, gaps bool) (differing [][2]eventstore.Position, problems []index.Problem, err error) {
	c := x.Check()
	defer c.Close()
	for _, e := range log {
		c.Event(e)
	}
	for more := true; more && err == nil; {
		more, err = c.Walk(f.ReadTx, gaps, func(p index.Problem) { problems = append(problems, p) })
	}
	return c.Differing(), problems, err
}

// requireWhole requires that the index agrees with the log: on disk by the Checker,
// and in whole by Reader.Check.
func requireWhole(t testing.TB, f *file, x *index.Index, log []index.Entry) {
	differing, problems, err := check(f, x, log, false)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Empty(t, differing)
	f.read(t, x.Snapshot(), x.Through(), func(r *index.Reader) {
		for _, e := range log {
			found, err := r.Check(e, func(p index.Problem) { require.Fail(t, p.Text) })
			require.NoError(t, err)
			require.Equal(t, postingsOf(e), found, "postings of the event at %d", e.Position)
		}
	})
}

// postingsOf returns how many postings of an event Reader.Check finds.
func postingsOf(e index.Entry) int {
	if e.Unknown {
		return 0
	}
	n := 1 + len(e.Tags)
	if e.Stream != "" {
		n += 2
	}
	if e.Key != "" {
		n++
	}
	return n
}

// requireSwept requires that all keys belong to runs of the index.
func requireSwept(t testing.TB, f *file) {
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		ids, _, err := index.Runs(tx)
		require.NoError(t, err)
		for key := range tx.Bucket([]byte(index.Bucket)).All() {
			if len(key) > 1 {
				require.Contains(t, ids, binary.BigEndian.Uint64(key), "key %x", key)
			}
		}
		return nil
	}))
}

// everywhere calls fn with a reader of the log, while the log is all in memory, when
// it is one run, and when it is several.
func everywhere(t *testing.T, log []index.Entry, last eventstore.Position, fn func(t *testing.T, r *index.Reader)) {
	t.Run("in memory", func(t *testing.T) {
		f := newFile(t)
		x := f.open(t, large)
		add(x, log...)
		f.read(t, x.Snapshot(), last, func(r *index.Reader) { fn(t, r) })
	})
	for _, runs := range []int{1, 3} {
		t.Run(fmt.Sprint("in runs: ", runs), func(t *testing.T) {
			f, x := written(t, split(log, runs)...)
			f.read(t, x.Snapshot(), last, func(r *index.Reader) { fn(t, r) })
		})
	}
}

// TestWalk_StopsEarlyAndGoesOn has two tags on alternating events, and both on few:
// an intersection must leap over every event.
func TestWalk_StopsEarlyAndGoesOn(t *testing.T) {
	const n = 20000
	log := make([]index.Entry, n)
	for i := range log {
		log[i] = index.Entry{Position: eventstore.Position(i) + 1, Type: "t"}
		if i%20 == 0 { // with more, the lists would be dense
			log[i].Tags = []eventstore.Tag{eventstore.Tag(fmt.Sprint(i / 20 % 2))}
		}
	}
	log[1].Tags = []eventstore.Tag{"0", "1"}
	log[n-1].Tags = []eventstore.Tag{"0", "1"}
	q := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"0", "1"}})
	everywhere(t, log, n, func(t *testing.T, r *index.Reader) {
		found, matched := r.Walk(q, 3, n, false).Seek(3)
		require.False(t, matched, "one seek searched the whole log and found %d", found)
		require.NotZero(t, found)
		require.Less(t, found, eventstore.Position(n/2))
		found, matched = r.Walk(q, 1, n-1, true).Seek(n - 1)
		require.False(t, matched)
		require.Greater(t, found, eventstore.Position(n/2))
		for _, backward := range []bool{false, true} {
			whole := upTo(log, n).walk(q, 1, n, backward)
			require.Len(t, whole.want, 2)
			require.True(t, whole.tells(t, r, nil))
		}
	})
}

// TestWalk_LeavesOutDenseLists expects that a walk leaves out the list of a term
// that many events have, but not of one that many events in a row had once.
func TestWalk_LeavesOutDenseLists(t *testing.T) {
	const n = 6000
	log := make([]index.Entry, n)
	for i := range log {
		log[i] = index.Entry{Position: eventstore.Position(i) + 1, Type: "t"}
		if i%10 == 9 {
			log[i].Tags = append(log[i].Tags, "tenth")
		}
		if i < 100 {
			log[i].Tags = append(log[i].Tags, "once")
		}
		if i%100 == 0 {
			log[i].Tags = append(log[i].Tags, "rare")
		}
	}
	everywhere(t, log, n, func(t *testing.T, r *index.Reader) {
		walk := r.Walk(eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"rare", "once"}}), 1, n, false)
		p, matched := walk.Seek(2)
		require.Zero(t, p)
		require.False(t, matched)
		require.True(t, walk.Exact())

		walk = r.Walk(eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"rare", "tenth"}}), 1, n, false)
		p, matched = walk.Seek(2) // not on the rare ones
		require.EqualValues(t, 101, p)
		require.True(t, matched)
		require.False(t, walk.Exact())
	})
}

func TestReader_KnowsHeadsVersionsAndKeys(t *testing.T) {
	log := []index.Entry{
		{Position: 1, Stream: "a-1", Version: 1, Type: "t", Key: "k"},
		{Position: 2, Stream: "a-12", Version: 1, Type: "t"},
		{Position: 3, Stream: "a-1", Version: 2, Type: "t", Key: "kk"},
		{Position: 4, Type: "t"},
		{Position: 5, Stream: "a-1", Version: 3, Type: "t"},
	}
	everywhere(t, log, 5, func(t *testing.T, r *index.Reader) {
		p, v := r.Head("a-1")
		require.EqualValues(t, 5, p)
		require.EqualValues(t, 3, v)
		p, v = r.Head("a")
		require.Zero(t, p)
		require.Zero(t, v)
		require.EqualValues(t, 1, r.At("a-1", 1))
		require.EqualValues(t, 3, r.At("a-1", 2))
		require.EqualValues(t, 5, r.At("a-1", 3))
		require.Zero(t, r.At("a-1", 4))
		require.Zero(t, r.At("b", 1))
		require.EqualValues(t, 1, r.Key("k"))
		require.EqualValues(t, 3, r.Key("kk"))
		require.Zero(t, r.Key("kkk"))
		require.NoError(t, r.Err())
	})
	everywhere(t, log, 2, func(t *testing.T, r *index.Reader) {
		_, v := r.Head("a-1")
		require.EqualValues(t, 1, v, "an event beyond the reader's end was seen")
		require.Zero(t, r.Key("kk"))
		require.Zero(t, r.At("a-1", 2))
		require.NoError(t, r.Err())
	})
}

// TestReader_WithoutTheFile expects answers from memory, and ErrNeedsFile otherwise.
func TestReader_WithoutTheFile(t *testing.T) {
	old := index.Entry{Position: 1, Stream: "a-1", Version: 1, Type: "t"}
	f, x := written(t, []index.Entry{old})
	_, _, known := x.Snapshot().Head("a-1", 1)
	require.False(t, known)
	_, v, known := x.Snapshot().Head("a-3", 1)
	require.True(t, known)
	require.Zero(t, v)
	add(x, index.Entry{Position: 2, Stream: "a-2", Version: 1, Type: "t"})
	reader := func() *index.Reader {
		r, err := x.Snapshot().Reader(nil, 2)
		require.NoError(t, err)
		return r
	}
	_, v, known = x.Snapshot().Head("a-2", 2)
	require.True(t, known)
	require.EqualValues(t, 1, v)
	r := reader()
	_, v = r.Head("a-2")
	require.NoError(t, r.Err())
	require.EqualValues(t, 1, v)
	_, v = r.Head("a-3")
	require.NoError(t, r.Err(), "the run's filter says that there is no such stream")
	require.Zero(t, v)
	r.Head("a-1")
	require.ErrorIs(t, r.Err(), index.ErrNeedsFile)

	x = f.open(t, large)
	add(x, index.Entry{Position: 2, Stream: "a-2", Version: 1, Type: "t"})
	r = reader()
	r.Head("a-3")
	require.ErrorIs(t, r.Err(), index.ErrNeedsFile, "no filter is loaded")
	f.read(t, x.Snapshot(), 2, func(r *index.Reader) { r.Head("a-4") })
	r = reader()
	r.Head("a-3")
	require.NoError(t, r.Err())
}

// TestIndex_Through compares how far memory, disk and a reader reach.
func TestIndex_Through(t *testing.T) {
	f := newFile(t)
	x := f.open(t, index.Limits{Bytes: 1 << 30, Events: 3})
	require.False(t, x.Freeze(true), "there is nothing to be written")
	add(x, index.Entry{Position: 1, Type: "t"}, index.Entry{Position: 2, Type: "t"})
	require.False(t, x.Freeze(false), "the table is not full")
	require.EqualValues(t, 2, x.Through())
	require.Zero(t, x.Saved())
	add(x, index.Entry{Position: 3, Type: "t"})
	require.True(t, x.Freeze(false))
	require.True(t, x.Waiting())
	require.NoError(t, x.Maintain(f))
	require.False(t, x.Waiting())
	require.EqualValues(t, 3, x.Saved())
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		through, err := index.Through(tx, index.TestSeed)
		require.NoError(t, err)
		require.EqualValues(t, 3, through)
		_, err = x.Snapshot().Reader(tx, 3)
		require.NoError(t, err)
		_, err = x.Snapshot().Reader(tx, 4)
		require.ErrorIs(t, err, index.ErrUnusable, "a reader beyond the end of the index")
		return nil
	}))
	for p := eventstore.Position(4); !x.Crowded(); p++ {
		require.Less(t, p, eventstore.Position(100), "tables pile up")
		add(x, index.Entry{Position: p, Type: "t"})
		x.Freeze(false)
	}
	require.EqualValues(t, 12, x.Through(), "three tables of three events")
	require.NoError(t, x.Save(f))
	require.EqualValues(t, 12, x.Saved())
	require.False(t, x.Crowded())
}

// put is a change of the file that writes a key of the index.
func put(key, value []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return tx.Bucket([]byte(index.Bucket)).Put(key, value) }
}

// remove is a change of the file that removes the index.
func remove(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(index.Bucket)) }

// TestOpen_RefusesOtherContent replaces the index by something that is no index of
// this format. Open, Through and a reader must refuse it.
func TestOpen_RefusesOtherContent(t *testing.T) {
	status := []byte{0}
	changes := map[string]func(*bolt.Tx) error{
		"none":         remove,
		"no status":    func(tx *bolt.Tx) error { return tx.Bucket([]byte(index.Bucket)).Delete(status) },
		"damaged":      put(status, []byte("something else")),
		"short":        put(status, index.Seal(status, []byte{0, 0, 3})),
		"other format": put(status, index.Seal(status, []byte{0, 0, 0, 2, 0, 0})),
		"more":         put(status, index.Seal(status, []byte{0, 0, 0, 3, 2, 0, 0})),
		"runs missing": put(status, index.Seal(status, []byte{0, 0, 0, 3, 2, 1})),
		"many runs":    put(status, index.Seal(status, []byte{0, 0, 0, 3, 2, 0xff, 0xff, 0xff, 0x7f})),
		"a hole":       put(status, index.Seal(status, []byte{0, 0, 0, 3, 2, 1, 1, 0, 2, 3, 1, 1, 1, 64})),
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f, x := written(t, []index.Entry{{Position: 1, Type: "t"}})
			require.NoError(t, f.Update(change))
			require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
				_, err := index.Open(tx, index.TestSeed, large)
				require.ErrorIs(t, err, index.ErrUnusable)
				_, err = index.Through(tx, index.TestSeed)
				require.ErrorIs(t, err, index.ErrUnusable)
				_, err = x.Snapshot().Reader(tx, 1)
				require.ErrorIs(t, err, index.ErrUnusable)
				return nil
			}))
		})
	}
}

// TestReader_RefusesAnIndexMadeAnew has a snapshot of an index that was deleted and
// created again after the snapshot was taken.
func TestReader_RefusesAnIndexMadeAnew(t *testing.T) {
	f, x := written(t, []index.Entry{{Position: 1, Type: "t"}})
	require.NoError(t, f.Update(remove))
	require.NoError(t, f.Update(create))
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		_, err := x.Snapshot().Reader(tx, 1)
		require.ErrorIs(t, err, index.ErrUnusable)
		through, err := index.Through(tx, index.TestSeed)
		require.NoError(t, err)
		require.Zero(t, through)
		return nil
	}))
	require.Error(t, f.Update(create), "there is one")
}

func TestOpen_RefusesAKeyOfNoRun(t *testing.T) {
	f, _ := written(t, []index.Entry{{Position: 1, Type: "t"}})
	require.NoError(t, f.Update(put([]byte("short"), []byte("?"))))
	require.NoError(t, f.ReadTx(func(tx *pages.Tx) error {
		_, err := index.Open(tx, index.TestSeed, large)
		require.ErrorIs(t, err, index.ErrUnusable)
		return nil
	}))
}

// TestSnapshot_Head_DespiteFalsePositives has filters that are wrong in one of fifty
// runs. Head must not need the file because a filter claims events that could not be
// read.
func TestSnapshot_Head_DespiteFalsePositives(t *testing.T) {
	f := newFile(t)
	x := f.open(t, large)
	var p eventstore.Position
	run := func(e index.Entry) {
		p++
		e.Position = p
		add(x, e)
		require.True(t, x.Freeze(true))
		require.NoError(t, x.Save(f)) // does not merge
	}
	for i := range 300 {
		e := index.Entry{Type: "type"}
		for j := range 50 { // with these the filter is full
			e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint(i, "-", j)))
		}
		run(e)
	}
	next := index.Entry{Position: p + 1, Stream: "s-1", Version: 1, Type: "type"}
	known := func(x *index.Index) bool {
		add(x, next)
		defer x.Undo(1, func(int) index.Entry { return next })
		at, v, known := x.Snapshot().Head("s-1", p+1)
		if known {
			require.Equal(t, next.Position, at)
			require.Equal(t, next.Version, v)
		}
		return known
	}
	require.True(t, known(x))

	x = f.open(t, large)
	for range 2 { // the first time filters are loaded, the second time they are asked
		f.read(t, x.Snapshot(), p, func(r *index.Reader) {
			require.Zero(t, r.Unknown(0))
			require.NoError(t, r.Err())
		})
	}
	require.True(t, known(x), "in a file opened again, when it has been looked")

	run(index.Entry{Unknown: true})
	next.Position = p + 1
	require.False(t, known(x))
	x = f.open(t, large)
	f.read(t, x.Snapshot(), p, func(r *index.Reader) { require.Equal(t, p, r.Unknown(0)) })
	require.False(t, known(x), "in a file opened again")
}

func create(tx *bolt.Tx) error { return index.Create(pages.Write(tx), index.TestSeed) }
