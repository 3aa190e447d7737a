package killwindow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// TestMain makes the test binary serve as the proof's children.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "-child" {
		if err := workload.Children()[os.Args[2]](context.Background(), os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// newEnv returns the environment of a proof, or skips the test if the simulator is
// not available.
func newEnv(t *testing.T) *proof.Env {
	t.Helper()
	m, err := simfs.Mount(t.TempDir())
	if errors.Is(err, simfs.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.NoError(t, m.Close())
	return &proof.Env{Seed: 1, Scratch: t.TempDir(), Disk: t.TempDir(), Kept: t.TempDir(), Name: New().Name, Progress: t.Logf}
}

func figure(figures proof.Figures, name string) any {
	for _, f := range figures {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

func TestRun(t *testing.T) {
	env := newEnv(t)
	t.Setenv(killsVariable, "6")
	figures, err := New().Run(t.Context(), env)
	require.NoError(t, err)
	require.Equal(t, 6, figure(figures, "kills"))
	require.Positive(t, figure(figures, "images"))
}
