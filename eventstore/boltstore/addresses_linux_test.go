package boltstore_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// fewAddresses, when set in the environment, makes TestStore_FewAddresses limit the address
// space of its process to 4 GiB more than it has.
const fewAddresses = "YORE_TEST_FEW_ADDRESSES"

// TestStore_FewAddresses has a process that may not reserve as many addresses as a store
// would like. All that opens or makes a file works.
func TestStore_FewAddresses(t *testing.T) {
	if os.Getenv(fewAddresses) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStore_FewAddresses$")
		child.Env = append(os.Environ(), fewAddresses+"=1")
		said, err := child.CombinedOutput()
		require.NoError(t, err, "%s", said)
		return
	}
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages uint64
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	limit := pages*uint64(os.Getpagesize()) + 4<<30
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}))

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
