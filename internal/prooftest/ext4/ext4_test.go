//go:build linux

package ext4_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/ext4"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// TestMain lets this test binary be the workload and the verifier.
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

func run(t *testing.T, images string) (proof.Figures, error) {
	t.Helper()
	t.Setenv("YORE_PROOF_IMAGES", images)
	env := &proof.Env{Seed: 1, Scratch: t.TempDir(), Disk: t.TempDir(), Kept: t.TempDir(), Name: "ext4", Progress: t.Logf}
	figures, err := ext4.New().Run(t.Context(), env)
	var skip *proof.Skip
	if errors.As(err, &skip) {
		t.Skip(skip.Reason)
	}
	return figures, err
}

func TestRun(t *testing.T) {
	figures, err := run(t, "20")
	require.NoError(t, err)
	require.GreaterOrEqual(t, figures[0].Value, 20)
}

// TestRun_Lie runs on a disk that does not sync, which loses data that ext4 has
// synced.
func TestRun_Lie(t *testing.T) {
	t.Setenv("YORE_PROOF_LIE", "all")
	_, err := run(t, "100")
	require.ErrorContains(t, err, "lost")
}
