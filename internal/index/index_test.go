package index_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

func open(t *testing.T) *bolt.DB {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "index.db"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Update(index.Create))
	return db
}

func add(t *testing.T, db *bolt.DB, entries ...index.Entry) {
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return index.Add(tx, entries) }))
}

func view(t *testing.T, db *bolt.DB, last eventstore.Position, fn func(*index.Reader)) {
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		reader, err := index.NewReader(tx, last)
		require.NoError(t, err)
		fn(reader)
		return nil
	}))
}

// matches walks over all matches within a closed window.
func matches(reader *index.Reader, q eventstore.Query, from, to eventstore.Position, backward bool) []eventstore.Position {
	var found []eventstore.Position
	walk := reader.Walk(q, backward)
	if backward {
		for p := to; p >= from && p > 0; {
			at, matched := walk.Seek(p)
			if at < from || at == 0 {
				break
			}
			if p = at; matched {
				found = append(found, at)
				p--
			}
		}
		return found
	}
	for p := from; p <= to; {
		at, matched := walk.Seek(p)
		if at == 0 || at > to {
			break
		}
		if p = at; matched {
			found = append(found, at)
			p++
		}
	}
	return found
}

// TestWalk_AgreesWithMatches compares walks with the one definition of what a
// query means, on random logs and queries.
func TestWalk_AgreesWithMatches(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	streams := []eventstore.StreamID{"a", "a-1", "a-b", "ab", "ab-1", "a-b-c", "b-1", "é-1", ""}
	types := []string{"t", "tt", "t-1", "u"}
	tags := []eventstore.Tag{"x", "x:1", "x:2", "y", "xy"}
	for range 20 {
		db := open(t)
		log := make([]index.Entry, 500)
		versions := map[eventstore.StreamID]eventstore.Version{}
		for i := range log {
			stream := pick(random, streams)
			versions[stream]++
			log[i] = index.Entry{Position: eventstore.Position(i) + 1, Stream: stream, Version: versions[stream], Type: pick(random, types), Tags: subset(random, tags)}
		}
		for rest := log; len(rest) > 0; {
			n := min(1+random.IntN(100), len(rest))
			add(t, db, rest[:n]...)
			rest = rest[n:]
		}
		for range 200 {
			q := randomQuery(random, streams[:len(streams)-1], types, tags)
			last := eventstore.Position(random.IntN(len(log) + 1))
			from := eventstore.Position(1 + random.IntN(len(log)))
			backward := random.IntN(2) == 0
			var want []eventstore.Position
			for _, e := range log[:last] {
				if e.Position >= from && q.Matches(e.Stream, e.Type, e.Tags) {
					want = append(want, e.Position)
				}
			}
			if backward {
				slices.Reverse(want)
			}
			view(t, db, last, func(reader *index.Reader) {
				require.Equal(t, want, matches(reader, q, from, last, backward),
					"query %v, from %d to %d, backward %v", q, from, last, backward)
			})
		}
	}
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

func subset[T any](random *rand.Rand, from []T) []T {
	var some []T
	for _, v := range from {
		if random.IntN(3) == 0 {
			some = append(some, v)
		}
	}
	return some
}

func randomQuery(random *rand.Rand, streams []eventstore.StreamID, types []string, tags []eventstore.Tag) eventstore.Query {
	items := make([]eventstore.Item, 1+random.IntN(3))
	for i := range items {
		switch random.IntN(4) {
		case 0:
			items[i].Streams = subset(random, streams)
		case 1:
			items[i].Categories = subset(random, []string{"a", "ab", "b", "é"})
		}
		if random.IntN(2) == 0 {
			items[i].Types = subset(random, types)
		}
		items[i].Tags = subset(random, tags)[:0]
		if random.IntN(2) == 0 {
			items[i].Tags = subset(random, tags)
		}
		if len(items[i].Streams)+len(items[i].Categories)+len(items[i].Types)+len(items[i].Tags) == 0 {
			items[i].Types = []string{pick(random, types)}
		}
	}
	return eventstore.Match(items...)
}

// TestWalk_StopsEarlyAndGoesOn has two tags that alternate and never meet until
// the end: an intersection that must leap over every event.
func TestWalk_StopsEarlyAndGoesOn(t *testing.T) {
	db := open(t)
	const n = 5000
	log := make([]index.Entry, n)
	for i := range log {
		log[i] = index.Entry{Position: eventstore.Position(i) + 1, Type: "t", Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint(i % 2))}}
	}
	log[n-1].Tags = []eventstore.Tag{"0", "1"}
	log[0].Tags = []eventstore.Tag{"0", "1"}
	add(t, db, log...)
	q := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"0", "1"}})
	view(t, db, n, func(reader *index.Reader) {
		found, matched := reader.Walk(q, false).Seek(2)
		require.False(t, matched, "one seek searched the whole log and found %d", found)
		require.Less(t, found, eventstore.Position(n/2))
		require.Equal(t, []eventstore.Position{1, n}, matches(reader, q, 1, n, false))
		require.Equal(t, []eventstore.Position{n, 1}, matches(reader, q, 1, n, true))
	})
}

func TestReader_KnowsHeadsVersionsAndKeys(t *testing.T) {
	db := open(t)
	add(t, db,
		index.Entry{Position: 1, Stream: "a-1", Version: 1, Type: "t", Key: "k"},
		index.Entry{Position: 2, Stream: "a-12", Version: 1, Type: "t"},
		index.Entry{Position: 3, Stream: "a-1", Version: 2, Type: "t", Key: "kk"},
		index.Entry{Position: 4, Type: "t"},
		index.Entry{Position: 5, Stream: "a-1", Version: 3, Type: "t"},
	)
	view(t, db, 5, func(reader *index.Reader) {
		p, v := reader.Head("a-1")
		require.EqualValues(t, 5, p)
		require.EqualValues(t, 3, v)
		p, v = reader.Head("a")
		require.Zero(t, p)
		require.Zero(t, v)
		require.EqualValues(t, 1, reader.At("a-1", 1))
		require.EqualValues(t, 3, reader.At("a-1", 2))
		require.EqualValues(t, 5, reader.At("a-1", 3))
		require.Zero(t, reader.At("a-1", 4))
		require.Zero(t, reader.At("b", 1))
		require.EqualValues(t, 1, reader.Key("k"))
		require.EqualValues(t, 3, reader.Key("kk"))
		require.Zero(t, reader.Key("kkk"))
	})
	view(t, db, 2, func(reader *index.Reader) {
		_, v := reader.Head("a-1")
		require.EqualValues(t, 1, v, "an event beyond the reader's end was seen")
		require.Zero(t, reader.Key("kk"))
	})
}

func TestThrough_KnowsAnIndexOfThisFormat(t *testing.T) {
	db := open(t)
	through := func() (p eventstore.Position, err error) {
		_ = db.View(func(tx *bolt.Tx) error {
			p, err = index.Through(tx)
			return nil
		})
		return p, err
	}
	p, err := through()
	require.NoError(t, err)
	require.Zero(t, p)
	add(t, db, index.Entry{Position: 1, Type: "t"}, index.Entry{Position: 2, Type: "t"})
	p, err = through()
	require.NoError(t, err)
	require.EqualValues(t, 2, p)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		_, err := index.NewReader(tx, 3)
		require.ErrorIs(t, err, index.ErrUnusable, "a reader beyond the end of the index")
		return nil
	}))

	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(index.Bucket)).Put([]byte{0}, []byte("something else"))
	}))
	_, err = through()
	require.ErrorIs(t, err, index.ErrUnusable)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(index.Bucket)) }))
	_, err = through()
	require.ErrorIs(t, err, index.ErrUnusable)
	require.NoError(t, db.Update(index.Create))
	p, err = through()
	require.NoError(t, err)
	require.Zero(t, p)
}

// damage changes what the index holds, posting by posting: fn returns the key
// and the value that shall be there instead; a nil key deletes.
func damage(t *testing.T, db *bolt.DB, nth int, fn func(key, value []byte) ([]byte, []byte)) {
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(index.Bucket))
		cursor := b.Cursor()
		key, value := cursor.First()
		for range nth {
			key, value = cursor.Next()
		}
		newKey, newValue := fn(slices.Clone(key), slices.Clone(value))
		require.NoError(t, b.Delete(slices.Clone(key)))
		if newKey == nil {
			return nil
		}
		return b.Put(newKey, newValue)
	}))
}

var checked = []index.Entry{
	{Position: 1, Stream: "a-1", Version: 1, Type: "t", Tags: []eventstore.Tag{"x", "y"}, Key: "k"},
	{Position: 2, Stream: "a-1", Version: 2, Type: "u"},
	{Position: 3, Type: "t", Tags: []eventstore.Tag{"x"}},
	{Position: 4, Stream: "a-2", Version: 1, Type: "t"},
}

const checkedPostings = 14

// problems checks the index against the entries and returns what it finds.
func problems(t *testing.T, db *bolt.DB, limit int) (found, count int, all []string) {
	report := func(p eventstore.Position, problem string) { all = append(all, fmt.Sprintf("%d: %s", p, problem)) }
	require.NoError(t, db.View(func(tx *bolt.Tx) (err error) {
		found, err = index.Check(tx, checked, report)
		require.NoError(t, err)
		var from []byte
		for {
			n, next, err := index.Scan(tx, from, limit, 4, report)
			require.NoError(t, err)
			if count += n; next == nil {
				return nil
			}
			from = next
		}
	}))
	return found, count, all
}

// TestCheckAndScan_FindEveryChange deletes, moves and changes each posting in
// turn.
func TestCheckAndScan_FindEveryChange(t *testing.T) {
	changes := map[string]func(key, value []byte) ([]byte, []byte){
		"deleted":     func(_, _ []byte) ([]byte, []byte) { return nil, nil },
		"a bit off":   func(key, value []byte) ([]byte, []byte) { value[0] ^= 1; return key, value },
		"moved":       func(key, value []byte) ([]byte, []byte) { key[len(key)-1] ^= 64; return key, value },
		"of another":  func(key, value []byte) ([]byte, []byte) { key[1] ^= 1; return key, value },
		"cut short":   func(key, value []byte) ([]byte, []byte) { return key, value[:1] },
		"not a key":   func(_, value []byte) ([]byte, []byte) { return []byte("?"), value },
		"of no place": func(key, value []byte) ([]byte, []byte) { return key[:len(key)-1], value },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			for nth := 1; nth <= checkedPostings; nth++ {
				db := open(t)
				add(t, db, checked...)
				for _, limit := range []int{1, 3, 100} {
					found, count, all := problems(t, db, limit)
					require.Empty(t, all)
					require.Equal(t, checkedPostings, found)
					require.Equal(t, checkedPostings, count)
				}
				damage(t, db, nth, change)
				found, count, all := problems(t, db, 3)
				require.NotEmpty(t, all, "posting %d", nth)
				require.Less(t, found, checkedPostings, "posting %d", nth)
				require.Less(t, count, checkedPostings, "posting %d", nth)
			}
		})
	}
}

func TestScan_FindsWhatIsTooMany(t *testing.T) {
	db := open(t)
	more := slices.Clone(checked)
	more[2].Tags = []eventstore.Tag{"x", "too many"}
	add(t, db, more...)
	found, count, all := problems(t, db, 100)
	require.Empty(t, all)
	require.Equal(t, checkedPostings, found)
	require.Equal(t, checkedPostings+1, count)
}

// TestReader_SaysWhenAPostingIsDamaged flips a bit in each posting in turn.
func TestReader_SaysWhenAPostingIsDamaged(t *testing.T) {
	lookups := map[string]func(*index.Reader){
		"head": func(r *index.Reader) { r.Head("a-1"); r.Head("a-2") },
		"at":   func(r *index.Reader) { r.At("a-1", 1); r.At("a-2", 1) },
		"key":  func(r *index.Reader) { r.Key("k") },
		"all": func(r *index.Reader) {
			matches(r, eventstore.Match(eventstore.Item{Types: []string{"t", "u"}}, eventstore.Item{Tags: []eventstore.Tag{"x", "y"}},
				eventstore.Item{Streams: []eventstore.StreamID{"a-1", "a-2"}}, eventstore.Item{Categories: []string{"a"}}), 1, 4, false)
			r.Key("k")
		},
	}
	noticed := map[string]int{}
	for nth := 1; nth <= checkedPostings; nth++ {
		db := open(t)
		add(t, db, checked...)
		damage(t, db, nth, func(key, value []byte) ([]byte, []byte) { value[len(value)-1] ^= 1; return key, value })
		for name, lookup := range lookups {
			view(t, db, 4, func(reader *index.Reader) {
				lookup(reader)
				if reader.Err() != nil {
					require.ErrorIs(t, reader.Err(), index.ErrUnusable)
					noticed[name]++
				}
			})
		}
	}
	require.Equal(t, map[string]int{"head": 2, "at": 3, "key": 1, "all": checkedPostings}, noticed)
}
