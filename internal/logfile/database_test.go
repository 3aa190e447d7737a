package logfile_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/logfile"
)

func noWork(*bolt.Tx) error { return nil }

// TestDB_ReleasesTheLocksOfAFault: after a fault in Begin, bbolt's locks are free: later
// calls and Close end. It fails if bbolt's locks have other names.
func TestDB_ReleasesTheLocksOfAFault(t *testing.T) {
	path := newLog(t)
	db, f, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	require.NoError(t, db.View(func(*bolt.Tx) error {
		require.NoError(t, os.Truncate(path, 0))
		for range 3 {
			require.ErrorIs(t, db.View(noWork), logfile.ErrBadPage)
			_, err = db.Begin()
			require.ErrorIs(t, err, logfile.ErrBadPage)
		}
		return nil
	}), "a reader that had begun before ends too")
	require.False(t, db.Stuck())
	require.Error(t, f.InPlace())
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	require.ErrorIs(t, f.OS.Close(), os.ErrClosed)
}

// TestDB_Stuck: a database that may not be used ends all calls, and Close gives up the lock.
func TestDB_Stuck(t *testing.T) {
	path := newLog(t)
	db, _, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	db.Abandon()
	require.ErrorIs(t, db.View(noWork), logfile.ErrBadPage)
	_, err = db.Begin()
	require.ErrorIs(t, err, logfile.ErrBadPage)
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	open(t, path, logfile.OpenOptions{})
}

// TestDB_ManyFaults: many readers that meet a fault at once all end soon.
func TestDB_ManyFaults(t *testing.T) {
	path := newLog(t)
	db, _, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 0))
	begin := time.Now()
	var all sync.WaitGroup
	for range 2000 {
		all.Go(func() { require.ErrorIs(t, db.View(noWork), logfile.ErrBadPage) })
	}
	all.Wait()
	require.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, db.Close())
}
