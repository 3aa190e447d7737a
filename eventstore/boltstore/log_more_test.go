package boltstore_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// A damaged key hides a pack as a hole would. No append is accepted for that which
// the pack may refute.
func TestLog_AnAppendBehindAPackThatIsHidden(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string, last eventstore.Position){
		"its key is a lower one": func(t *testing.T, path string, last eventstore.Position) {
			lower := record.Key(0)
			overwrite(t, path, valuesOf(t, path)[last].offset-8, lower[:])
		},
		"its key is a higher one": func(t *testing.T, path string, last eventstore.Position) {
			higher := record.Key(last + 1<<40)
			overwrite(t, path, valuesOf(t, path)[last].offset-8, higher[:])
		},
		"its key is too long": func(t *testing.T, path string, last eventstore.Position) {
			edit(t, path, func(tx *bolt.Tx) error {
				log, key := tx.Bucket([]byte("log")), record.Key(last)
				pack := bytes.Clone(log.Get(key[:]))
				if err := log.Delete(key[:]); err != nil {
					return err
				}
				return log.Put(append(key[:], 0), pack)
			})
		},
		"a key that is none leads astray": func(t *testing.T, path string, last eventstore.Position) {
			edit(t, path, func(tx *bolt.Tx) error {
				key := record.Key(last - 1)
				return tx.Bucket([]byte("log")).Put(append(key[:], 0), []byte("stray"))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			appendEvents(t, s, "a", 1)
			_, err = eventstore.AppendTo(t.Context(), s, "b", eventstore.NoStream, large(40)...)
			require.NoError(t, err)
			appendEvents(t, s, "c", 1)
			require.NoError(t, s.Close())
			var last eventstore.Position
			for p, v := range valuesOf(t, path) {
				if v.records > 1 {
					last = p
				}
			}
			edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) })
			damage(t, path, last)
			s = openUnverified(t, path, nil)
			_, err = eventstore.AppendTo(t.Context(), s, "a", eventstore.At(1), eventstore.NewEvent{Type: "t"})
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			_, err = eventstore.AppendTo(t.Context(), s, "c", eventstore.At(1), eventstore.NewEvent{Type: "t"})
			require.NoError(t, err)
			v, err := s.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.False(t, v.OK())
		})
	}
}

// What is said of a pack that cannot be read is said of all events that it may have.
func TestVerify_APackThatCannotBeRead(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	_, err = s.Append(t.Context(), eventstore.Commit{Events: large(100)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	var lasts []eventstore.Position
	for p, v := range valuesOf(t, path) {
		if v.records > 1 {
			lasts = append(lasts, p)
		}
	}
	slices.Sort(lasts)
	first, last := lasts[0]+1, lasts[1]
	overwrite(t, path, valuesOf(t, path)[last].offset+1, []byte{0})
	v, err := openUnverified(t, path, &boltstore.Options{ReadOnly: true}).Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 100-int(last-first+1), v.Events)
	require.Equal(t, boltstore.DamagedRecord, v.Findings[0].Kind)
	require.Equal(t, first, v.Findings[0].Position)
	require.Contains(t, v.Findings[0].Problem, fmt.Sprintf("positions %d to %d are in a damaged pack", first, last))
}

// The writer does not hold on to a large commit when it has been written.
func TestLog_MemoryOfALargeCommit(t *testing.T) {
	inUse := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	s := open(t, logPath(t), nil)
	before := inUse()
	list := events(30_000)
	for i := range list {
		list[i].Data = make([]byte, 900)
	}
	_, err := s.Append(t.Context(), eventstore.Commit{Events: list})
	require.NoError(t, err)
	require.Less(t, inUse()-before, 80<<20, "the tail has some 30 MiB of them")
}
