package backup_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

var (
	storeID = uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab")
	created = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
)

func rec(p eventstore.Position) []byte {
	b := record.Append(nil, &eventstore.NewEvent{Type: "t", Data: bytes.Repeat([]byte{byte(p)}, 10)}, record.Place{I: 0, N: 1}, record.Mark{})
	record.Seal(b, record.SeedOf(storeID), 0, p, 0, created)
	return b
}

// pageOf returns a page with the records of positions greater than after, through
// through.
func pageOf(after, through eventstore.Position) *logfile.Page {
	var page logfile.Page
	for p := after + 1; p <= through; p++ {
		page.Add(p, rec(p))
	}
	return &page
}

// seam returns the seam of the record at p, 0 for position 0.
func seam(t *testing.T, p eventstore.Position) (sum uint32) {
	t.Helper()
	if p == 0 {
		return 0
	}
	db, err := bolt.Open(filepath.Join(t.TempDir(), "log.yore"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		log, err := tx.CreateBucket(logfile.LogBucket)
		if err != nil {
			return err
		}
		key := record.Key(p)
		return log.Put(key[:], rec(p))
	}))
	require.NoError(t, db.View(func(tx *bolt.Tx) (err error) {
		sum, err = backup.SeamAt(pages.View(tx), record.SeedOf(storeID), p)
		return err
	}))
	require.NoError(t, db.Close())
	return sum
}

// write returns a backup of the events after a position, through another.
func write(t *testing.T, after, through eventstore.Position) ([]byte, backup.Manifest) {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Manifest{StoreID: storeID, Epoch: 3, After: after, Through: through, Created: created}, seam(t, after))
	require.NoError(t, err)
	middle := (after + through) / 2
	require.NoError(t, w.Records(pageOf(after, middle)))
	require.NoError(t, w.Records(pageOf(middle, through)))
	m, err := w.End()
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), m.Bytes)
	return out.Bytes(), m
}

// read reads a chain of backups, and returns the positions it has.
func read(ctx context.Context, full bool, backups ...[]byte) (positions []eventstore.Position, m backup.Manifest, err error) {
	var readers []io.Reader
	for _, b := range backups {
		readers = append(readers, bytes.NewReader(b))
	}
	chain, err := backup.OpenChain(ctx, readers, full)
	if err != nil {
		return nil, backup.Manifest{}, err
	}
	err = chain.Read(ctx, func(p eventstore.Position, got []byte) error {
		if !bytes.Equal(rec(p), got) {
			return errors.New("another record")
		}
		positions = append(positions, p)
		return nil
	}, nil)
	return positions, chain.Manifest(), err
}

func span(after, through eventstore.Position) (list []eventstore.Position) {
	for p := after + 1; p <= through; p++ {
		list = append(list, p)
	}
	return list
}

func TestChain_ReadsWhatAWriterWrote(t *testing.T) {
	full, first := write(t, 0, 700)
	none, second := write(t, 700, 700)
	more, third := write(t, 700, 705)
	require.Equal(t, backup.Manifest{
		StoreID: storeID, Epoch: 3, Through: 700, Created: created, Events: 700, Bytes: first.Bytes, SHA256: first.SHA256,
	}, first)
	require.NotZero(t, first.SHA256)

	got, m, err := read(t.Context(), true, full)
	require.NoError(t, err)
	require.Equal(t, span(0, 700), got)
	want := first
	want.SHA256 = [32]byte{}
	require.Equal(t, want, m)

	got, m, err = read(t.Context(), true, full, none, more)
	require.NoError(t, err)
	require.Equal(t, span(0, 705), got)
	want = third
	want.After, want.Events, want.SHA256 = 0, 705, [32]byte{}
	want.Bytes = first.Bytes + second.Bytes + third.Bytes
	require.Equal(t, want, m)

	got, m, err = read(t.Context(), false, none, more)
	require.NoError(t, err)
	require.Equal(t, span(700, 705), got)
	require.EqualValues(t, 700, m.After)
}

// TestChain_FindsDamageOfAnyByte changes the byte at each offset, cuts the backup there,
// and adds a byte behind its end.
func TestChain_FindsDamageOfAnyByte(t *testing.T) {
	whole, _ := write(t, 0, 4)
	_, _, err := read(t.Context(), true, whole)
	require.NoError(t, err)
	requireRefused := func(b []byte, what string, at int) {
		t.Helper()
		_, _, err := read(t.Context(), true, b)
		require.True(t, errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrFormat), "%s byte %d: %v", what, at, err)
	}
	for i := range whole {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= mask
			requireRefused(damaged, "changed", i)
		}
		requireRefused(whole[:i], "cut at", i)
	}
	requireRefused(append(bytes.Clone(whole), 0), "goes on behind", len(whole))
}

// TestChain_FindsFramesOfAnotherBackup has frames that are whole, but not those that the
// manifest counts.
func TestChain_FindsFramesOfAnotherBackup(t *testing.T) {
	whole, _ := write(t, 0, 4)
	const header, manifest = 68, 5 + 48 + 4
	frame := (len(whole) - header - manifest) / 4
	one := func(i int) []byte { return whole[header+i*frame:][:frame] }
	end := whole[len(whole)-manifest:]
	for name, frames := range map[string][][]byte{
		"one is missing": {one(0), one(1), one(2), end},
		"exchanged":      {one(0), one(2), one(1), one(3), end},
		"one twice":      {one(0), one(1), one(2), one(3), one(3), end},
		"no manifest":    {one(0), one(1), one(2), one(3)},
	} {
		_, _, err := read(t.Context(), true, append(bytes.Clone(whole[:header]), bytes.Join(frames, nil)...))
		require.ErrorIs(t, err, eventstore.ErrCorrupt, name)
	}
}

// TestChain_FindsThatItEndsTooEarly has a whole backup that lacks its last events.
func TestChain_FindsThatItEndsTooEarly(t *testing.T) {
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Manifest{StoreID: storeID, Epoch: 3, Through: 5, Created: created}, 0)
	require.NoError(t, err)
	require.NoError(t, w.Records(pageOf(0, 4)))
	_, err = w.End()
	require.NoError(t, err)
	_, _, err = read(t.Context(), true, out.Bytes())
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "ends at position 4, and should end at 5")
}

// TestChain_TakesNoMoreMemoryThanTheBackupHasBytes has frames whose size is damaged.
func TestChain_TakesNoMoreMemoryThanTheBackupHasBytes(t *testing.T) {
	whole, _ := write(t, 0, 4)
	for _, size := range []uint32{60 << 20, 64<<20 + 1, 1 << 31, 1<<32 - 1} {
		damaged := bytes.Clone(whole)
		binary.BigEndian.PutUint32(damaged[68+1:], size)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := read(t.Context(), true, damaged)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, size)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), size)
	}
}

func TestOpenChain_RefusesBackupsThatDoNotContinueEachOther(t *testing.T) {
	full, _ := write(t, 0, 10)
	more, _ := write(t, 10, 20)
	most, _ := write(t, 20, 30)
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Manifest{StoreID: storeID, Epoch: 4, After: 10, Through: 10, Created: created}, seam(t, 10))
	require.NoError(t, err)
	_, err = w.End()
	require.NoError(t, err)
	for _, tt := range []struct {
		backups [][]byte
		says    string
	}{
		{nil, "no backup is given"},
		{[][]byte{more}, "the first must be a full one"},
		{[][]byte{full, most}, "backup 2"},
		{[][]byte{full, more, more}, "backup 3"},
		{[][]byte{full, full}, "begins after position 0"},
		{[][]byte{full, out.Bytes()}, "epoch 4"},
	} {
		_, _, err := read(t.Context(), true, tt.backups...)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, tt.says)
	}
}

// TestChain_HoldsToTheSeam has a backup that begins after the right position, of another
// log.
func TestChain_HoldsToTheSeam(t *testing.T) {
	full, _ := write(t, 0, 10)
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Manifest{StoreID: storeID, Epoch: 3, After: 10, Through: 12, Created: created}, seam(t, 10)+1)
	require.NoError(t, err)
	require.NoError(t, w.Records(pageOf(10, 12)))
	_, err = w.End()
	require.NoError(t, err)
	_, _, err = read(t.Context(), true, full, out.Bytes())
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "backup 2")
	_, _, err = read(t.Context(), false, out.Bytes())
	require.NoError(t, err, "there is nothing to compare the seam with")
}

func TestChain_EndsWithErrorsOfOthers(t *testing.T) {
	content, _ := write(t, 0, 700)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := read(ctx, true, content)
	require.ErrorIs(t, err, context.Canceled)

	broken := errors.New("broken pipe")
	chain, err := backup.OpenChain(t.Context(), []io.Reader{io.MultiReader(bytes.NewReader(content[:300]), iotest.ErrReader(broken))}, true)
	require.NoError(t, err)
	add := func(eventstore.Position, []byte) error { return nil }
	require.ErrorIs(t, chain.Read(t.Context(), add, nil), broken)
	_, err = backup.OpenChain(t.Context(), []io.Reader{iotest.ErrReader(broken)}, true)
	require.ErrorIs(t, err, broken)

	full := errors.New("the disk is full")
	chain, err = backup.OpenChain(t.Context(), []io.Reader{iotest.OneByteReader(bytes.NewReader(content))}, true)
	require.NoError(t, err)
	require.ErrorIs(t, chain.Read(t.Context(), func(p eventstore.Position, _ []byte) error {
		if p == 5 {
			return full
		}
		return nil
	}, nil), full)
}

func TestChain_TellsProgress(t *testing.T) {
	first, _ := write(t, 0, 600)
	second, _ := write(t, 600, 700)
	chain, err := backup.OpenChain(t.Context(), []io.Reader{bytes.NewReader(first), bytes.NewReader(second)}, true)
	require.NoError(t, err)
	var told []eventstore.Position
	require.NoError(t, chain.Read(t.Context(), func(eventstore.Position, []byte) error { return nil }, func(done, of eventstore.Position) {
		require.EqualValues(t, 700, of)
		told = append(told, done)
	}))
	require.Equal(t, []eventstore.Position{256, 512, 600, 700}, told)
}

// TestWriter_Refuses: a damaged record ends a backup, and so does a short write without
// an error.
func TestWriter_Refuses(t *testing.T) {
	w, err := backup.NewWriter(io.Discard, backup.Manifest{StoreID: storeID, Through: 2}, 0)
	require.NoError(t, err)
	var page logfile.Page
	page.Add(1, rec(1))
	page.Add(2, rec(3))
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, w.Records(&page), &corrupt)
	require.EqualValues(t, 2, corrupt.Position)

	_, err = backup.NewWriter(shortWriter{}, backup.Manifest{}, 0)
	require.ErrorIs(t, err, io.ErrShortWrite)
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }
