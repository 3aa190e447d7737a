package linear_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/linear"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

// TestMain makes this test binary serve as the child with the store.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "-child" {
		if err := linear.New().Children[os.Args[2]](context.Background(), os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func newEnv(t *testing.T) *proof.Env {
	return &proof.Env{Seed: 1, Scratch: t.TempDir(), Disk: t.TempDir(), Kept: t.TempDir(), Name: "linear", Progress: t.Logf}
}

func TestRun(t *testing.T) {
	t.Setenv("YORE_PROOF_OPERATIONS", "5000") // some segments of each kind
	figures, err := linear.New().Run(t.Context(), newEnv(t))
	require.NoError(t, err)
	require.Equal(t, "operations", figures[0].Name)
	require.GreaterOrEqual(t, figures[0].Value, 5000)
}

// TestReplay judges kept histories again. One of them cannot be explained.
func TestReplay(t *testing.T) {
	appended := `{"client":1,"begin":1,"end":2,"call":{"kind":"append","commit":{"events":[{"id":1,"type":"t"}]}},
		"answer":{"receipt":{"first":1,"last":1}}}`
	head := func(begin, end, head int) string {
		return fmt.Sprintf(`{"client":2,"begin":%d,"end":%d,"call":{"kind":"head"},"answer":{"head":%d}}`, begin, end, head)
	}
	for name, c := range map[string]struct {
		head      string
		explained bool
	}{
		"after":           {head(3, 4, 1), true},
		"before":          {head(0, 0, 0), true},
		"at once, later":  {head(0, 4, 1), true},
		"at once, before": {head(0, 4, 0), true},
		"stale":           {head(3, 4, 0), false},
		"too early":       {head(0, 0, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "history.json"), []byte("["+appended+","+c.head+"]"), 0o600))
			err := linear.New().Replay(t.Context(), newEnv(t), json.RawMessage("{}"), dir)
			if c.explained {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "no order explains the 2 calls")
			}
		})
	}
}
