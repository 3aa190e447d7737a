package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/model"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

func TestRun(t *testing.T) {
	t.Setenv("YORE_PROOF_SEQUENCES", "20")
	env := &proof.Env{Seed: 1, Scratch: t.TempDir(), Disk: t.TempDir(), Kept: t.TempDir(), Name: "model", Progress: t.Logf}
	figures, err := model.New().Run(t.Context(), env)
	require.NoError(t, err)
	require.Equal(t, proof.Figure{Name: "sequences", Value: 20}, figures[0])
}
