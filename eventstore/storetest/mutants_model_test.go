package storetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

var modelOracle = Config{Open: func(testing.TB) eventstore.Store { return memstore.New(nil) }}

// TestRunModel_Mutants runs the model test on the mutants, which it must find without
// a rule for the fault. It must find more than half.
func TestRunModel_Mutants(t *testing.T) {
	t.Parallel()
	// The faults of these families show only with concurrent writers, with other names
	// than the model's, or with views that fail.
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

// TestRunModel_Control runs the model test on a store without a fault.
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
