package logfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

func loadIdentity(t *testing.T, path string) (identity logfile.Identity, err error) {
	view(t, path, func(tx *bolt.Tx) { identity, err = logfile.LoadIdentity(pages.View(tx)) })
	return identity, err
}

func TestLoadIdentity(t *testing.T) {
	path := newLog(t)
	identity, err := loadIdentity(t, path)
	require.NoError(t, err)
	require.Equal(t, logfile.Identity{StoreID: storeID, Epoch: 7}, identity)

	foreign := newLog(t)
	update(t, foreign, func(tx *bolt.Tx) error { return tx.DeleteBucket(logfile.StoreBucket) })
	_, err = loadIdentity(t, foreign)
	require.ErrorIs(t, err, eventstore.ErrFormat)
	for _, format := range []uint32{0, 3, 5} {
		other := newLog(t)
		update(t, other, func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.StoreBucket).Put([]byte("format"), binary.BigEndian.AppendUint32(nil, format))
		})
		_, err = loadIdentity(t, other)
		require.ErrorIs(t, err, eventstore.ErrFormat)
		require.ErrorContains(t, err, fmt.Sprintf("format %d", format))
	}
	for _, key := range []string{"format", "id", "epoch", "sum"} {
		damaged := newLog(t)
		update(t, damaged, func(tx *bolt.Tx) error { return tx.Bucket(logfile.StoreBucket).Put([]byte(key), []byte("x")) })
		_, err = loadIdentity(t, damaged)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "%s", key)
	}
}

func loadHead(t *testing.T, path string) (end logfile.End, err error) {
	t.Helper()
	view(t, path, func(tx *bolt.Tx) { end, err = logfile.LoadHead(pages.View(tx), seed) })
	return end, err
}

func TestLoadHead(t *testing.T) {
	path := newLog(t)
	end, err := loadHead(t, path)
	require.NoError(t, err)
	require.Zero(t, end)

	write(t, path, 1, 100, 250)
	end, err = loadHead(t, path)
	require.NoError(t, err)
	require.EqualValues(t, 100, end.Position)
	require.True(t, end.Recorded.Equal(recorded))
	require.Empty(t, end.Warning)
	write(t, path, 101, 101, 250)
	next, err := loadHead(t, path)
	require.NoError(t, err)
	require.EqualValues(t, 101, next.Position)
	require.NotEqual(t, end.Chain, next.Chain)
}

// TestLoadHead_DamagedEnd has damage at the end of the log. The head says how far a reader
// should come; if it is damaged too, it is guessed.
func TestLoadHead_DamagedEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		key     eventstore.Position
		value   string
		guessed eventstore.Position
	}{
		"the last record is damaged":   {100, "damaged", 100},
		"a damaged record comes next":  {101, "damaged", 101},
		"a record is too far behind":   {255, "damaged", 100},
		"a damaged pack may come next": {255, "\x02\x00", 255},
		"a pack is too far behind":     {356, "\x02\x00", 100},
	} {
		t.Run(name, func(t *testing.T) {
			path := newLog(t)
			write(t, path, 1, 100, 250)
			damage := func(tx *bolt.Tx) error {
				key := record.Key(tt.key)
				head, _, _ := logfile.ReadHead(pages.View(tx), seed)
				return errors.Join(tx.Bucket(logfile.LogBucket).Put(key[:], []byte(tt.value)), logfile.PutHead(pages.Write(tx), seed, head))
			}
			update(t, path, damage)
			end, err := loadHead(t, path)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.EqualValues(t, 100, end.Position)
			require.True(t, end.Recorded.Equal(recorded), "of the last whole record")

			update(t, path, func(tx *bolt.Tx) error { return tx.Bucket(logfile.StoreBucket).Put([]byte("head"), []byte("x")) })
			end, err = loadHead(t, path)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.Equal(t, tt.guessed, end.Position)
		})
	}
}

// TestLoadHead_LostWrites has older content come back.
func TestLoadHead_LostWrites(t *testing.T) {
	putHead := func(position eventstore.Position, chain record.Chain) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			return logfile.PutHead(pages.Write(tx), seed, logfile.Head{Position: position, Chain: chain})
		}
	}
	for name, tt := range map[string]struct {
		change func(tx *bolt.Tx, chain record.Chain) error
		want   string
	}{
		"of the root page": {func(tx *bolt.Tx, _ record.Chain) error { return nil }, "a write to the disk was lost"},
		"of the log's last page": {func(tx *bolt.Tx, chain record.Chain) error {
			key := record.Key(100)
			return errors.Join(tx.Bucket(logfile.LogBucket).Delete(key[:]), putHead(100, chain)(tx))
		}, "the log ends at position 99, and should end at 100"},
		"of a page of the log": {func(tx *bolt.Tx, chain record.Chain) error { return putHead(100, chain+1)(tx) }, "an older record has come back"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newLog(t)
			write(t, path, 1, 100, 250)
			whole, err := loadHead(t, path)
			require.NoError(t, err)
			update(t, path, func(tx *bolt.Tx) error { return tt.change(tx, whole.Chain) })
			end, err := loadHead(t, path)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.ErrorContains(t, err, tt.want)
			if name == "of the root page" {
				require.Zero(t, end, "the log must not be read")
			} else {
				require.EqualValues(t, 100, end.Position)
			}
		})
	}
}

// TestLoadHead_DamagedHead: the log's own end is used, with a warning.
func TestLoadHead_DamagedHead(t *testing.T) {
	path := newLog(t)
	write(t, path, 1, 100, 250)
	whole, err := loadHead(t, path)
	require.NoError(t, err)
	var sealed []byte
	view(t, path, func(tx *bolt.Tx) { sealed = bytes.Clone(tx.Bucket(logfile.StoreBucket).Get([]byte("head"))) })
	for bit := range len(sealed) * 8 {
		if bit%8 > 0 && bit%29 > 0 { // some bits of each byte
			continue
		}
		damaged := bytes.Clone(sealed)
		damaged[bit/8] ^= 1 << (bit % 8)
		update(t, path, func(tx *bolt.Tx) error { return tx.Bucket(logfile.StoreBucket).Put([]byte("head"), damaged) })
		end, err := loadHead(t, path)
		require.NoError(t, err)
		require.Equal(t, whole.Head, end.Head)
		require.Contains(t, end.Warning, "damaged")
	}
}

func TestInHole(t *testing.T) {
	path := newLog(t)
	view(t, path, func(tx *bolt.Tx) { require.False(t, logfile.InHole(pages.View(tx), seed, 1)) })
	update(t, path, func(tx *bolt.Tx) error {
		return errors.Join(logfile.PutHole(pages.Write(tx), seed, 3, 5), logfile.PutHole(pages.Write(tx), seed, 9, 9))
	})
	view(t, path, func(tx *bolt.Tx) {
		for p := eventstore.Position(1); p < 12; p++ {
			require.Equal(t, p >= 3 && p <= 5 || p == 9, logfile.InHole(pages.View(tx), seed, p), "position %d", p)
			require.False(t, logfile.InHole(pages.View(tx), seed+1, p), "of another store")
		}
	})
}

func TestProtect(t *testing.T) {
	require.NoError(t, logfile.Protect(func() error { return nil }))
	own := errors.New("own")
	require.Equal(t, own, logfile.Protect(func() error { return own }))
	err := logfile.Protect(func() error { panic("page 7 has no type") })
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorIs(t, err, logfile.ErrBadPage)
	require.ErrorContains(t, err, "page 7 has no type")
	err = logfile.Protect(func() error { return berrors.ErrIncompatibleValue })
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.NotErrorIs(t, err, logfile.ErrBadPage)
}
