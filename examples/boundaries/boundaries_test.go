package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// day is the time at which the tables of the tests begin.
var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scenario is a row of a table: earlier events, a decision, and the expected events or
// refusal.
type scenario struct {
	name    string
	given   func(log *aggtest.Log) *aggtest.Log // nil for no events
	when    aggregate.Decision
	then    []any
	refused error
}

// check runs a table on each kind of store.
func check(t *testing.T, scenarios []scenario) {
	aggtest.EachStore(t, stores, func(t *testing.T, open aggtest.Open) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				log := aggtest.NewLog(t, registry(t)).On(open).At(day).Unread(ProductOrdered{}, ProductsOrdered{})
				if s.given != nil {
					log = s.given(log)
				}
				if s.refused != nil {
					log.When(s.when).ThenRejected(s.refused)
				} else {
					log.When(s.when).Then(s.then...)
				}
			})
		}
	})
}

// given returns the given of a scenario whose events all happened on day.
func given(events ...any) func(*aggtest.Log) *aggtest.Log {
	return func(log *aggtest.Log) *aggtest.Log { return log.Given(events...) }
}

var stores = map[string]aggtest.Open{
	"boltstore": func(tb testing.TB, clock func() time.Time) eventstore.Store {
		store, err := boltstore.Open(filepath.Join(tb.TempDir(), "log.yore"), &boltstore.Options{Clock: clock})
		require.NoError(tb, err)
		return store
	},
}

func registry(t testing.TB) *codec.Registry {
	t.Helper()
	registry, err := newRegistry()
	require.NoError(t, err)
	return registry
}

func TestRun_TakesTheTour(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	golden := filepath.Join("testdata", "tour.txt")
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}
