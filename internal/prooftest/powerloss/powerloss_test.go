package powerloss

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	t.Setenv(imagesVariable, "400")
	figures, err := New().Run(t.Context(), env)
	require.NoError(t, err)
	require.GreaterOrEqual(t, figure(figures, "distinct"), 400)
	require.Zero(t, figure(figures, "lost"))
}

func TestRun_FindsLies(t *testing.T) {
	for _, lie := range []simfs.Lie{simfs.LieData, simfs.LieMeta, simfs.LieAll, simfs.LieDir} {
		t.Run(string(lie), func(t *testing.T) {
			env := newEnv(t)
			t.Setenv(imagesVariable, "2000")
			t.Setenv(lieVariable, string(lie))
			_, err := New().Run(t.Context(), env)
			var wrong *workload.Wrong
			require.ErrorAs(t, err, &wrong)

			kept, err := os.ReadDir(env.Kept)
			require.NoError(t, err)
			require.NotEmpty(t, kept, "the case is kept")
			replayed := replay(t, env, kept[0].Name())
			require.ErrorAs(t, replayed, &wrong, "and fails again")
		})
	}
}

// replay tries a kept case again.
func replay(t *testing.T, env *proof.Env, name string) error {
	t.Helper()
	dir := filepath.Join(env.Kept, name)
	content, err := os.ReadFile(filepath.Join(dir, "case.json"))
	require.NoError(t, err)
	var c proof.Case
	require.NoError(t, json.Unmarshal(content, &c))
	return New().Replay(t.Context(), env, c.Case, dir)
}
