package boltstore_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// fewAddresses, when set in the environment, makes a test of this file limit the address
// space of its process.
const fewAddresses = "YORE_TEST_FEW_ADDRESSES"

// inChild runs the test in another process. It reports whether this is that process.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv(fewAddresses) != "" {
		return true
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), fewAddresses+"=1", "MALLOC_ARENA_MAX=1") // else C reserves 64 MiB a thread
	said, err := child.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return false
}

// limitAddresses allows the process a number of bytes of address space beside those it has.
func limitAddresses(t *testing.T, more uint64) {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages uint64
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_AS, &limit))
	limit.Cur = pages*uint64(os.Getpagesize()) + more
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &limit))
}

// reserveHeap gives Go's heap addresses, which it keeps.
func reserveHeap(bytes int) {
	reserved := make([]byte, bytes)
	runtime.KeepAlive(&reserved)
	reserved = nil
	runtime.GC()
}

// TestStore_OutgrowsItsAddresses has a file outgrow the addresses that its process may have.
// The appends that need more fail and no others, reads go on, and when there are more
// addresses appends go on too.
func TestStore_OutgrowsItsAddresses(t *testing.T) {
	if !inChild(t) {
		return
	}
	reserveHeap(512 << 20)
	limitAddresses(t, 220<<20) // a map of 128 MiB, not one of 256
	path := logPath(t)
	s := open(t, path, nil)
	large := eventstore.NewEvent{Type: "t", Data: make([]byte, 2<<20)}
	var failed error
	n := eventstore.Version(0)
	for ; failed == nil && n < 128; n++ {
		_, failed = eventstore.AppendTo(t.Context(), s, "s", eventstore.At(n), large)
	}
	n--
	for range 3 {
		require.ErrorIs(t, failed, syscall.ENOMEM)
		require.ErrorContains(t, failed, "address space")
		require.NotErrorIs(t, failed, eventstore.ErrUnknownOutcome)
		require.NotErrorIs(t, failed, eventstore.ErrFailed)
		var found int
		for e, err := range s.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
			require.NoError(t, err)
			require.Len(t, e.Data, 2<<20)
			found++
		}
		require.EqualValues(t, n, found)
		_, failed = eventstore.AppendTo(t.Context(), s, "s", eventstore.At(n), large)
	}
	_, err := boltstore.Open(path, &boltstore.Options{LockTimeout: 1})
	require.ErrorIs(t, err, eventstore.ErrLocked, "the lock was given up")
	limitAddresses(t, 1<<30)
	_, err = eventstore.AppendTo(t.Context(), s, "s", eventstore.At(n), large)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Len(t, positions(t, open(t, path, nil), eventstore.All()), int(n)+1)
}

// TestStore_FewAddresses has a process that may not reserve as many addresses as a store
// would like. All that opens or makes a file works.
func TestStore_FewAddresses(t *testing.T) {
	if !inChild(t) {
		return
	}
	reserveHeap(512 << 20)
	for _, more := range []uint64{4 << 30, 300 << 20} {
		limitAddresses(t, more)
		useAll(t)
	}
}

func useAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	s, err := boltstore.Open(at("log"), nil)
	require.NoError(t, err)
	_, err = eventstore.AppendTo(t.Context(), s, "a-1", eventstore.Any, events(100)...)
	require.NoError(t, err)
	var backup, export bytes.Buffer
	_, err = s.Backup(t.Context(), &backup, nil)
	require.NoError(t, err)
	_, err = s.Export(t.Context(), &export, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = boltstore.Compact(t.Context(), at("log"), nil)
	require.NoError(t, err)
	_, err = boltstore.Reindex(t.Context(), at("log"), nil)
	require.NoError(t, err)
	_, err = boltstore.Salvage(t.Context(), at("log"), at("saved"), nil)
	require.NoError(t, err)
	_, err = boltstore.Restore(t.Context(), at("restored"), nil, &backup)
	require.NoError(t, err)
	_, err = boltstore.Import(t.Context(), at("imported"), &export, nil)
	require.NoError(t, err)
	for _, name := range []string{"log", "saved", "restored", "imported"} {
		s, err := boltstore.Open(at(name), nil)
		require.NoError(t, err, name)
		head, err := s.Head(t.Context())
		require.NoError(t, err, name)
		require.EqualValues(t, 100, head, name)
		require.NoError(t, s.Close())
	}
}
