package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// salvageable makes a closed log of some hundred small and large events of seven streams, and
// returns its path and events.
func salvageable(t testing.TB) (path string, events []eventstore.Event) {
	path = logPath(t)
	s, err := boltstore.Open(path, goldenOptions())
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 70 {
		n := 1 + i%4
		if i%25 == 20 {
			n = 150 // some of them are packed
		}
		list := make([]eventstore.NewEvent, n)
		for j := range list {
			size := 40
			if random.IntN(12) == 0 {
				size = 9000 // takes several pages
			}
			list[j] = eventstore.NewEvent{Type: "t", Data: bytes.Repeat([]byte{byte(i)}, size), Tags: []eventstore.Tag{"x"}}
		}
		_, err := eventstore.AppendTo(t.Context(), s, eventstore.StreamID(fmt.Sprint("s-", i%7)), eventstore.Any, list...)
		require.NoError(t, err)
	}
	events = logged(t, s)
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, int64(used(t, content).HighWater)*int64(os.Getpagesize()))) // tests copy it often
	return path, events
}

// salvage salvages a file, and requires that the new log has the events except those that the
// result calls missing.
func salvage(t testing.TB, damaged string, events []eventstore.Event) boltstore.SalvageReport {
	t.Helper()
	into := filepath.Join(t.TempDir(), "new.yore")
	before, err := os.ReadFile(damaged)
	require.NoError(t, err)
	result, err := boltstore.Salvage(t.Context(), damaged, into, nil)
	require.NoError(t, err)
	after, err := os.ReadFile(damaged)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the damaged file was changed")
	requireSalvaged(t, into, events, result)
	return result
}

func requireSalvaged(t testing.TB, into string, events []eventstore.Event, result boltstore.SalvageReport) {
	t.Helper()
	s, err := boltstore.Open(into, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, result.StoreID, s.Info().StoreID)
	require.Equal(t, result.Epoch, s.Info().Epoch)
	missing := map[eventstore.Position]bool{}
	count := 0
	for _, r := range result.Missing {
		for p := r.First; p <= r.Last; p++ {
			missing[p] = true
			count++
		}
	}
	require.EqualValues(t, count, result.MissingEvents)
	found := 0
	for _, want := range events {
		if want.Position > result.Head {
			continue
		}
		e, err := readOne(t, s, want.Position)
		if missing[want.Position] {
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.Equal(t, want.Position, corrupt.Position)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, e)
		found++
	}
	require.Equal(t, found, result.Events)
	receipt, err := eventstore.AppendTo(t.Context(), s, "s-1", eventstore.Any, eventstore.NewEvent{Type: "t"})
	require.NoError(t, err)
	require.Equal(t, result.Head+1, receipt.First)
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	for _, f := range v.Findings { // the missing records have no other findings
		require.Contains(t, []boltstore.FindingKind{boltstore.MissingRecord, boltstore.BrokenStream, boltstore.BrokenCommit}, f.Kind, "%v", f)
	}
	if len(result.Missing) == 0 {
		require.Empty(t, v.Findings)
	}
}

func readOne(t testing.TB, s eventstore.Store, p eventstore.Position) (e eventstore.Event, err error) {
	for e, err = range s.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{From: p, To: p}) {
	}
	return e, err
}

func TestSalvage_AHealthyLog(t *testing.T) {
	path, events := salvageable(t)
	result := salvage(t, path, events)
	require.Equal(t, len(events), result.Events)
	require.EqualValues(t, len(events), result.Head)
	require.Equal(t, result.Head, result.Through)
	require.Empty(t, result.Missing)
	require.Zero(t, result.Unlinked)
	require.True(t, result.SameStore)
	require.Greater(t, result.Epoch, uint64(1))
}

// After the loss of any page, all events whose bytes are left are saved.
func TestSalvage_AnyPageLost(t *testing.T) {
	path, events := salvageable(t)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	used, seed := used(t, content), seedIn(t, path)
	size := os.Getpagesize()
	lost := 0
	for page := range int(used.HighWater) {
		damaged := bytes.Clone(content)
		clear(damaged[page*size : (page+1)*size])
		file := filepath.Join(t.TempDir(), "damaged.yore")
		require.NoError(t, os.WriteFile(file, damaged, 0o600))
		result := salvage(t, file, events)
		survive := surviving(seed, events, damaged)
		require.Equal(t, survive, result.Events, "page %d: %+v", page, result)
		if survive < len(events) {
			lost++
		}
		if page < 2 {
			require.Equal(t, len(events), result.Events)
		}
	}
	require.Greater(t, lost, 10)
}

func used(t testing.TB, content []byte) pages.State {
	state, err := pages.Inspect(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	return state
}

// seedIn returns the seed of the checksums in a closed file.
func seedIn(t testing.TB, path string) (seed record.Seed) {
	inFile(t, path, func(tx *bolt.Tx) { seed = seedOf(tx) })
	return seed
}

// surviving counts the events whose records are in the bytes, also in pages that the tree does
// not lead to.
func surviving(seed record.Seed, events []eventstore.Event, content []byte) (n int) {
	size := os.Getpagesize()
	whole := map[eventstore.Position]bool{}
	for offset := 0; offset+size <= len(content); offset += size {
		if binary.NativeEndian.Uint16(content[offset+8:]) != 2 {
			continue
		}
		count := int(binary.NativeEndian.Uint16(content[offset+10:]))
		for i := range count {
			e := offset + 16 + 16*i
			at := e + int(binary.NativeEndian.Uint32(content[e+4:]))
			keySize, valueSize := int(binary.NativeEndian.Uint32(content[e+8:])), int(binary.NativeEndian.Uint32(content[e+12:]))
			if p, ok := record.ParseKey(content[at : at+keySize]); ok {
				value, _ := record.ParseValue(p, content[at+keySize:][:valueSize])
				for p, rec := range value.All() {
					if _, err := record.Decode(seed, p, rec); err == nil {
						whole[p] = true
					}
				}
			}
		}
	}
	for _, e := range events {
		if whole[e.Position] {
			n++
		}
	}
	return n
}

func TestSalvage_WithoutMetaPages(t *testing.T) {
	path, events := salvageable(t)
	overwrite(t, path, 0, make([]byte, 2*os.Getpagesize()))
	result := salvage(t, path, events)
	require.Equal(t, len(events), result.Events)
	require.Equal(t, len(events), result.Unlinked)
	require.Zero(t, result.Through)
	require.True(t, result.SameStore, "its id is still there")
}

func TestSalvage_ASmallLogWithoutMetaPages(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 3) // its buckets are inside the root page
	events := logged(t, s)
	require.NoError(t, s.Close())
	require.Equal(t, 3, salvage(t, path, events).Events)
	overwrite(t, path, 0, make([]byte, 2*os.Getpagesize()))
	require.Equal(t, 3, salvage(t, path, events).Events)
}

func TestSalvage_ATruncatedFile(t *testing.T) {
	path, events := salvageable(t)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	high, seed := int(used(t, content).HighWater)*os.Getpagesize(), seedIn(t, path)
	for _, size := range []int{high - 1, high / 2, high/2 + 777, high / 5} {
		require.NoError(t, os.WriteFile(path, content[:size], 0o600))
		result := salvage(t, path, events)
		require.Equal(t, surviving(seed, events, append(bytes.Clone(content[:size]), make([]byte, 24<<10)...)), result.Events, "%d of %d: %+v", size, high, result)
	}
}

// Records of a transaction that was not committed are not taken if the file shows where its
// log ends.
func TestSalvage_LeavesWhatWasNeverCommitted(t *testing.T) {
	path, events := salvageable(t)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 30)
	all := logged(t, s)
	require.NoError(t, s.Close())
	later, err := os.ReadFile(path)
	require.NoError(t, err)
	size := os.Getpagesize()

	t.Run("both meta pages of before", func(t *testing.T) {
		copy(later, content[:2*size])
		require.NoError(t, os.WriteFile(path, later, 0o600))
		result := salvage(t, path, events)
		require.Equal(t, len(events), result.Events)
		require.Zero(t, result.Leftover, "nothing was missing, so no page was looked at")

		page := int(firstLeaf(t, later)) * size
		copy(later[page:page+size], make([]byte, size))
		require.NoError(t, os.WriteFile(path, later, 0o600))
		result = salvage(t, path, events)
		require.NotZero(t, result.MissingEvents)
		require.EqualValues(t, len(events), result.Head)
		require.Equal(t, 30, result.Leftover)
	})
	t.Run("the newest meta page is lost", func(t *testing.T) {
		copy(later, content[:2*size])
		newest := int(used(t, content).TxID % 2)
		clear(later[(1-newest)*size : (2-newest)*size])
		require.NoError(t, os.WriteFile(path, later, 0o600))
		result := salvage(t, path, all)
		require.EqualValues(t, len(all), result.Head)
		require.Equal(t, 30, result.Unlinked)
		require.Zero(t, result.Through)
	})
}

// firstLeaf returns the page that has position 1.
func firstLeaf(t testing.TB, content []byte) uint64 {
	size := os.Getpagesize()
	for page := 2; page < len(content)/size; page++ {
		b := content[page*size:]
		if binary.NativeEndian.Uint16(b[8:]) != 2 {
			continue
		}
		at := 16 + int(binary.NativeEndian.Uint32(b[20:]))
		if p, ok := record.ParseKey(b[at:][:binary.NativeEndian.Uint32(b[24:])]); ok && p == 1 {
			if _, whole := record.FindSeed(p, b[at+8:][:binary.NativeEndian.Uint32(b[28:])]); whole {
				return uint64(page)
			}
		}
	}
	t.Fatal("no page has position 1")
	return 0
}

// Of two whole records for one position, the one that fits its neighbours is taken; if both
// fit, the result says so.
func TestSalvage_TwoRecordsForOnePosition(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(r *record.Record)
		ambiguous bool
	}{
		"one that does not fit": {func(r *record.Record) { r.Place = record.Place{I: 1, N: 3} }, false},
		"one that was recorded later": {func(r *record.Record) {
			r.Event.Recorded = r.Event.Recorded.AddDate(1, 0, 0)
		}, false},
		"one that fits": {func(r *record.Record) { r.Event.ID[0]++ }, true},
	} {
		t.Run(name, func(t *testing.T) {
			path, events := salvageable(t)
			const p = 1 // a commit of its own
			edit(t, path, func(tx *bolt.Tx) error {
				log, key := tx.Bucket([]byte("log")), record.Key(p)
				original := bytes.Clone(log.Get(key[:]))
				if err := replace(tx, p, tt.change); err != nil {
					return err
				}
				other, err := tx.CreateBucket([]byte("stale")) // pages that hold it, as if given up
				if err != nil {
					return err
				}
				changed := bytes.Clone(log.Get(key[:]))
				if err := other.Put(key[:], changed); err != nil {
					return err
				}
				if err := other.Put([]byte("filler"), make([]byte, 3000)); err != nil {
					return err
				}
				return log.Put(key[:], original)
			})
			overwrite(t, path, 0, make([]byte, 2*os.Getpagesize()))
			into := filepath.Join(t.TempDir(), "new.yore")
			result, err := boltstore.Salvage(t.Context(), path, into, nil)
			require.NoError(t, err)
			require.Equal(t, len(events), result.Events)
			if tt.ambiguous {
				require.Equal(t, []eventstore.Position{p}, result.Ambiguous)
				return
			}
			require.Empty(t, result.Ambiguous)
			require.Equal(t, 1, result.Refused)
			requireSalvaged(t, into, events, result)
		})
	}
}

func TestSalvage_Errors(t *testing.T) {
	dir := t.TempDir()
	path, _ := salvageable(t)
	_, err := boltstore.Salvage(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "new"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = boltstore.Salvage(t.Context(), path, path, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	garbage := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(garbage, bytes.Repeat([]byte("garbage"), 10_000), 0o600))
	_, err = boltstore.Salvage(t.Context(), garbage, filepath.Join(dir, "new"), nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	locked := logPath(t)
	open(t, locked, nil)
	_, err = boltstore.Salvage(t.Context(), locked, filepath.Join(dir, "new"), &boltstore.SalvageOptions{LockTimeout: 1})
	require.ErrorIs(t, err, eventstore.ErrLocked)
	require.Equal(t, []string{"garbage"}, files(t, dir), "a failed salvage left a file")
}

// FuzzSalvagePage: with any content of a page of the file, Salvage does not panic, and every
// event that it saves was written.
func FuzzSalvagePage(f *testing.F) {
	path, events := salvageable(f)
	content, err := os.ReadFile(path)
	require.NoError(f, err)
	size := os.Getpagesize()
	for page := range min(8, len(content)/size) {
		f.Add(uint16(page), uint16(0), content[page*size:(page+1)*size])
	}
	f.Add(uint16(0), uint16(0), make([]byte, 2*size))
	f.Add(uint16(3), uint16(8), []byte{2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, page, offset uint16, change []byte) {
		damaged := bytes.Clone(content)
		at := int(page)%(len(damaged)/size)*size + int(offset)%size
		copy(damaged[at:], change[:min(len(change), 3*size)])
		dir := t.TempDir()
		file, into := filepath.Join(dir, "damaged"), filepath.Join(dir, "new")
		require.NoError(t, os.WriteFile(file, damaged, 0o600))
		result, err := boltstore.Salvage(t.Context(), file, into, nil)
		require.NoError(t, err, "pages that were not changed have events")
		s, err := boltstore.Open(into, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		saved := 0
		for _, want := range events {
			e, err := readOne(t, s, want.Position)
			if err != nil || e.Position == 0 {
				continue
			}
			if !bytes.Equal(want.Data, e.Data) && bytes.Contains(change, e.Data) {
				t.Skip("the change brings a whole record of another log")
			}
			require.Equal(t, want, e)
			saved++
		}
		require.Equal(t, result.Events, saved)
	})
}

// TestSalvage_TheEndIsKnown puts each page back as it was some commits before, and clears
// bits of the last leaf of the log: what was committed is saved or reported as missing, and
// nothing that was committed counts as left over.
func TestSalvage_TheEndIsKnown(t *testing.T) {
	path := logPath(t)
	s := openUnverified(t, path, nil)
	appendEvents(t, s, "s", 300)
	var versions [][]byte
	for range 6 {
		appendEvents(t, s, "s", 1)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		versions = append(versions, content)
	}
	const events = 306
	last := versions[len(versions)-1]
	damaged := filepath.Join(t.TempDir(), "damaged.yore")
	try := func(content []byte) (unlinked int) {
		require.NoError(t, os.WriteFile(damaged, content, 0o600))
		into := filepath.Join(t.TempDir(), "new.yore")
		report, err := boltstore.Salvage(t.Context(), damaged, into, nil)
		require.NoError(t, err)
		require.EqualValues(t, events, report.Events+int(report.MissingEvents), "%+v", report)
		require.Zero(t, report.Leftover)
		require.NoError(t, os.Remove(into))
		return report.Unlinked
	}
	size, unlinked := os.Getpagesize(), 0
	for _, version := range versions[:len(versions)-1] {
		for page := 2 * size; page < int(used(t, last).HighWater)*size; page += size {
			if content := bytes.Clone(last); !bytes.Equal(content[page:][:size], version[page:][:size]) {
				copy(content[page:], version[page:][:size])
				unlinked += try(content)
			}
		}
	}
	require.Positive(t, unlinked)
	leaf := 0 // the last one of the log, which has the most events
	for page := 2 * size; page < int(used(t, last).HighWater)*size; page += size {
		if last[page+8] == 2 && bytes.Count(last[page:][:size], []byte("n:")) > bytes.Count(last[leaf:][:size], []byte("n:")) {
			leaf = page
		}
	}
	for bit := range 16 * 8 { // the number of elements, and the beginning of their table
		content := bytes.Clone(last)
		content[leaf+10+bit/8] ^= 1 << (bit % 8)
		try(content)
	}
}
