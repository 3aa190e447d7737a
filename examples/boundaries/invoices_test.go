package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/eventstore"
)

func TestCreateInvoice(t *testing.T) {
	check(t, []scenario{
		{
			name: "the first",
			when: createInvoice("foo"),
			then: []any{InvoiceCreated{1, "foo"}},
		},
		{
			name:  "the second",
			given: given(InvoiceCreated{1, "foo"}),
			when:  createInvoice("bar"),
			then:  []any{InvoiceCreated{2, "bar"}},
		},
		{
			name:  "another one, among others",
			given: given(InvoiceCreated{1, "foo"}, InvoiceCreated{2, "bar"}, OrderPlaced{"o1", "f1"}),
			when:  createInvoice("baz"),
			then:  []any{InvoiceCreated{3, "baz"}},
		},
	})
}

func TestCreateInvoice_ManyAtOnce(t *testing.T) {
	aggtest.EachStore(t, stores, func(t *testing.T, open aggtest.Open) {
		const clerks, each = 8, 5
		store := open(t, time.Now)
		defer func() { require.NoError(t, store.Close()) }()
		decisions, err := aggregate.NewDecisions(store, registry(t), &aggregate.Options{MaxAttempts: 1_000})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range clerks {
			wg.Go(func() {
				for range each {
					if _, err := decisions.Execute(t.Context(), createInvoice("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		number := 0
		for stored, err := range store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
			require.NoError(t, err)
			number++
			require.JSONEq(t, fmt.Sprintf(`{"number":%d,"text":"x"}`, number), string(stored.Data))
		}
		require.Equal(t, clerks*each, number)
	})
}
