package mutants

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// TestAll_UpToDate checks that every mutant applies to the source. The proof checks
// that it is caught.
func TestAll_UpToDate(t *testing.T) {
	b, err := newBuilder(t.Context(), &proof.Env{})
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, m := range all() {
		require.False(t, names[m.name], "two mutants %q", m.name)
		names[m.name] = true
		require.Equal(t, m.sound, m.breaks == "", "what %q breaks", m.name)
		if m.file == "" {
			continue
		}
		source, err := os.ReadFile(filepath.Join(b.root, m.file))
		require.NoError(t, err, m.name)
		text := string(source)
		for _, e := range m.edits {
			require.Equal(t, 1, strings.Count(text, e.old), "%s: %s", m.name, e.old)
			text = strings.Replace(text, e.old, e.new, 1)
		}
	}
}

func TestBuild_SourceHasMovedOn(t *testing.T) {
	b, err := newBuilder(t.Context(), &proof.Env{})
	require.NoError(t, err)
	m := mutant{file: "internal/record/decode.go", edits: []edit{{"a text that is not there", ""}}}
	_, err = b.build(context.Background(), m, t.TempDir())
	require.ErrorContains(t, err, "must be brought up to date")
}

func TestChoose(t *testing.T) {
	chosen, err := choose("NoSync,CRC off")
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	_, err = choose("no such mutant")
	require.Error(t, err)
}
