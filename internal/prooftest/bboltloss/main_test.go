package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBbolt_LosesWhatWasAcknowledged fails once bbolt no longer loses data. The
// store's code against that can then be removed.
func TestBbolt_LosesWhatWasAcknowledged(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	program := filepath.Join(t.TempDir(), "bboltloss")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(strace, "-f", "-o", "/dev/null", "-e", "trace=fdatasync",
		"-e", "inject=fdatasync:error=EIO:when=7..8", program).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "c: input/output error")
	require.Contains(t, string(out), "d: input/output error")
	require.NotContains(t, string(out), "of round b", "the acknowledged values are there")
}
