package logfile_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

func loadIdentity(t *testing.T, path string) (identity logfile.Identity, err error) {
	view(t, path, func(tx *bolt.Tx) { identity, err = logfile.LoadIdentity(tx) })
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
	for _, format := range []uint32{0, 4} {
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

// TestRaiseFormat has a log of format 1: a transaction that packs records raises it.
func TestRaiseFormat(t *testing.T) {
	path := newLog(t)
	format := func() (format uint32) {
		view(t, path, func(tx *bolt.Tx) {
			format = binary.BigEndian.Uint32(tx.Bucket(logfile.StoreBucket).Get([]byte("format")))
		})
		return format
	}
	update(t, path, func(tx *bolt.Tx) error {
		b, one := tx.Bucket(logfile.StoreBucket), binary.BigEndian.AppendUint32(nil, 1)
		sum := binary.BigEndian.AppendUint32(nil, logfile.Checksum(one, b.Get([]byte("id")), b.Get([]byte("epoch"))))
		return errors.Join(b.Put([]byte("format"), one), b.Put([]byte("sum"), sum))
	})
	write(t, path, 1, 10, 20)
	require.EqualValues(t, 1, format())
	write(t, path, 11, 100, 250)
	require.EqualValues(t, 3, format())
	identity, err := loadIdentity(t, path)
	require.NoError(t, err, "the checksum is that of the new format")
	require.Equal(t, storeID, identity.StoreID)
}

func TestLoadHead(t *testing.T) {
	load := func(t *testing.T, path string) (head eventstore.Position, at time.Time, err error) {
		view(t, path, func(tx *bolt.Tx) { head, at, err = logfile.LoadHead(tx) })
		return head, at, err
	}
	path := newLog(t)
	head, at, err := load(t, path)
	require.NoError(t, err)
	require.Zero(t, head)
	require.True(t, at.IsZero())

	write(t, path, 1, 100, 250)
	head, at, err = load(t, path)
	require.NoError(t, err)
	require.EqualValues(t, 100, head)
	require.True(t, at.Equal(recorded))
	for name, tt := range map[string]struct {
		key   eventstore.Position
		value string
		head  eventstore.Position
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
			update(t, path, func(tx *bolt.Tx) error {
				key := record.Key(tt.key)
				return tx.Bucket(logfile.LogBucket).Put(key[:], []byte(tt.value))
			})
			head, at, err := load(t, path)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.Equal(t, tt.head, head)
			require.True(t, at.Equal(recorded), "of the last whole record")
		})
	}
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
