package boltstore_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// importFile and importInto, when set in the environment, make
// TestImport_UntilKilled import.
const (
	importFile = "YORE_TEST_IMPORT_FILE"
	importInto = "YORE_TEST_IMPORT_INTO"
)

func TestImport_UntilKilled(t *testing.T) {
	if os.Getenv(importFile) == "" {
		t.Skip("it is run by TestImport_ResumesAfterBeingKilled")
	}
	lines, err := os.Open(os.Getenv(importFile))
	require.NoError(t, err)
	_, err = boltstore.Import(t.Context(), os.Getenv(importInto), lines, nil)
	require.NoError(t, err)
}

// TestImport_ResumesAfterBeingKilled kills processes that import, at random moments, until one
// has reached the end.
func TestImport_ResumesAfterBeingKilled(t *testing.T) {
	path, copied, file := logPath(t), logPath(t), logPath(t)+".jsonl"
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for range 40 {
		appendEvents(t, s, "s-1", 1_500)
	}
	require.NoError(t, s.Close())
	lines, exported := export(t, path, 0)
	require.NoError(t, os.WriteFile(file, lines, 0o600))

	killed := 0
	var head eventstore.Position
	for wait := 30 * time.Millisecond; head < exported.Through; wait += wait / 2 {
		child := exec.Command(os.Args[0], "-test.run", "^TestImport_UntilKilled$")
		child.Env = append(os.Environ(), importFile+"="+file, importInto+"="+copied)
		var said bytes.Buffer
		child.Stdout, child.Stderr = &said, &said
		require.NoError(t, child.Start())
		kill := time.AfterFunc(wait+rand.N(wait), func() { _ = child.Process.Kill() })
		err := child.Wait()
		kill.Stop()
		if err != nil {
			require.ErrorContains(t, err, "killed", said.String())
			killed++
		}
		if _, err := os.Stat(copied); err != nil {
			continue // killed before there was a file
		}
		s, err := boltstore.Open(copied, nil)
		require.NoError(t, err)
		v, err := s.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, v.Findings)
		require.GreaterOrEqual(t, v.Head, head)
		require.Zero(t, v.Head%1_500, "part of a commit")
		head = v.Head
		require.NoError(t, s.Close())
	}
	require.Positive(t, killed)
	requireImported(t, path, copied)
}
