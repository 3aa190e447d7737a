package damage_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/damage"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// BenchmarkExamine measures the cost of a case.
func BenchmarkExamine(b *testing.B) {
	dir, path := b.TempDir(), filepath.Join(b.TempDir(), "damaged.yore")
	_, err := sample.New(b.Context(), b.TempDir(), dir, sample.Build{Seed: 2, Indexed: true})
	require.NoError(b, err)
	known, content, err := sample.Load(dir)
	require.NoError(b, err)
	for b.Loop() {
		damage.Examine(b.Context(), known, content, path, damage.Case{}, nil)
	}
}
