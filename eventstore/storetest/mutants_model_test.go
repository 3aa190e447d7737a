package storetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

var modelOracle = Config{Open: func(testing.TB) eventstore.Store { return memstore.New(nil) }}

// TestRunModel_Mutants proves that the model test finds faults without being
// told where to look.
func TestRunModel_Mutants(t *testing.T) {
	t.Parallel()
	// What only many writers at once, names that the model does not use, or views
	// that fail would show.
	beyond := []string{"names", "limits", "snapshot", "batches", "life", "row limits", "faults"}
	found, all := 0, 0
	for _, m := range mutants() {
		if slices.Contains(beyond, m.family) {
			continue
		}
		all++
		rec := &recorder{TB: t}
		rec.run(m.config(), modelRule(modelOracle, 1, 200), impatience)
		if len(rec.failures) > 0 {
			found++
		} else {
			t.Logf("not found: %s/%s", m.family, m.name)
		}
	}
	require.Greater(t, found*2, all, "of %d mutants the model test finds %d", all, found)
}

// TestRunModel_Control proves that it finds none where there is none.
func TestRunModel_Control(t *testing.T) {
	for seed := range uint64(6) {
		rec := &recorder{TB: t}
		rec.run(mutant{}.config(), modelRule(modelOracle, seed, modelSteps), patience)
		require.Empty(t, rec.failures)
		require.Empty(t, rec.skips)
	}
}

func TestRunModel(t *testing.T) {
	RunModel(t, mutant{}.config(), modelOracle)
}
