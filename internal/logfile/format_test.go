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

func loadInfo(t *testing.T, path string) (info eventstore.Info, err error) {
	view(t, path, func(tx *bolt.Tx) { info, err = logfile.LoadInfo(tx) })
	return info, err
}

func TestLoadInfo(t *testing.T) {
	path := newLog(t)
	info, err := loadInfo(t, path)
	require.NoError(t, err)
	require.Equal(t, eventstore.Info{StoreID: storeID, Epoch: 7, Gapless: true, Durable: true, Limits: eventstore.StandardLimits()}, info)

	foreign := newLog(t)
	update(t, foreign, func(tx *bolt.Tx) error { return tx.DeleteBucket(logfile.StoreBucket) })
	_, err = loadInfo(t, foreign)
	require.ErrorIs(t, err, eventstore.ErrFormat)
	for _, format := range []uint32{0, 4} {
		other := newLog(t)
		update(t, other, func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.StoreBucket).Put(logfile.FormatKey, binary.BigEndian.AppendUint32(nil, format))
		})
		_, err = loadInfo(t, other)
		require.ErrorIs(t, err, eventstore.ErrFormat)
		require.ErrorContains(t, err, fmt.Sprintf("format %d", format))
	}
	for _, key := range [][]byte{logfile.FormatKey, logfile.IdKey, logfile.EpochKey, logfile.SumKey} {
		damaged := newLog(t)
		update(t, damaged, func(tx *bolt.Tx) error { return tx.Bucket(logfile.StoreBucket).Put(key, []byte("x")) })
		_, err = loadInfo(t, damaged)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "%s", key)
	}
}

// TestRaiseFormat has a log of format 1: a transaction that packs records raises it.
func TestRaiseFormat(t *testing.T) {
	path := newLog(t)
	format := func() (format uint32) {
		view(t, path, func(tx *bolt.Tx) {
			format = binary.BigEndian.Uint32(tx.Bucket(logfile.StoreBucket).Get(logfile.FormatKey))
		})
		return format
	}
	update(t, path, func(tx *bolt.Tx) error {
		b, one := tx.Bucket(logfile.StoreBucket), binary.BigEndian.AppendUint32(nil, 1)
		sum := logfile.InfoSum(one, b.Get(logfile.IdKey), b.Get(logfile.EpochKey))
		return errors.Join(b.Put(logfile.FormatKey, one), b.Put(logfile.SumKey, sum))
	})
	write(t, path, 1, 10, 20)
	require.EqualValues(t, 1, format())
	write(t, path, 11, 100, 250)
	require.EqualValues(t, 3, format())
	info, err := loadInfo(t, path)
	require.NoError(t, err, "the checksum is that of the new format")
	require.Equal(t, storeID, info.StoreID)
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
