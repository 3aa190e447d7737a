package storetest

import (
	"testing"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Config has the functions that open the stores to test. Only Open is required. Rules
// that need another function are skipped, with the reason, if it is nil.
//
// The functions may end the test with tb.Fatal. The suite closes the stores that
// they return.
type Config struct {
	// Open opens a new, empty store.
	Open func(tb testing.TB) eventstore.Store

	// Reopen opens the log of a store that the suite has closed. Nil means that a
	// log ends with its store.
	Reopen func(tb testing.TB, closed eventstore.Store) eventstore.Store

	// OpenSecond tries to open the log of a store that is open. Nil means that a log
	// may be opened more than once.
	OpenSecond func(tb testing.TB, open eventstore.Store) (eventstore.Store, error)

	// OpenReadOnly opens the log of a store that the suite has closed, for reading
	// only. Nil means that there is no such mode.
	OpenReadOnly func(tb testing.TB, closed eventstore.Store) eventstore.Store

	// OpenNewer tries to open a log of a format newer than the store knows. Nil
	// means that the store has no format of its own.
	OpenNewer func(tb testing.TB) (eventstore.Store, error)

	// Verify checks the log of an open store by the store's own means. The suite
	// calls it before it closes a store. Nil means that there is no check.
	Verify func(tb testing.TB, open eventstore.Store)
}

// patience is how long one call of a store may take. A correct store takes far less.
// A call that takes longer fails its rule.
const patience = 60 * time.Second

// rule is one promise of the contract.
type rule struct {
	name string
	hold func(h *harness)
}

// family is the rules of one part of the contract.
type family struct {
	name  string
	rules []rule
}

func families() []family {
	return []family{
		{"positions", positionRules()},
		{"versions", versionRules()},
		{"commit", commitRules()},
		{"events", eventRules()},
		{"limits", limitRules()},
		{"keys", keyRules()},
		{"repeats", repeatRules()},
		{"queries", queryRules()},
		{"names", nameRules()},
		{"read", readRules()},
		{"snapshot", snapshotRules()},
		{"guards", guardRules()},
		{"follow", followRules()},
		{"batches", batchRules()},
		{"life", lifeRules()},
		{"rows", rowRules()},
		{"row limits", rowLimitRules()},
		{"scans", scanRules()},
		{"checkpoints", checkpointRules()},
		{"inline", inlineRules()},
		{"faults", faultRules()},
		{"late", lateRules()},
	}
}

// Run holds the store to the contract of package eventstore. It runs one subtest for
// each rule, with a new store, grouped by the part of the contract.
func Run(t *testing.T, cfg Config) {
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			for _, r := range f.rules {
				t.Run(r.name, func(t *testing.T) { check(t, cfg, r, patience) })
			}
		})
	}
}
