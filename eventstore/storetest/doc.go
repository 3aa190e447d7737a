// Package storetest holds implementations of [eventstore.Store] to their contract:
// hundreds of named rules, and a model test that compares a store with one that is
// known to be right. Five lines test any store:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Config{
//			Open: func(tb testing.TB) eventstore.Store { return memstore.New(nil) },
//		})
//	}
//
// # Rules
//
// [Run] runs one subtest for each rule. Subtests are grouped by the part of the
// contract and named for what is promised, such as
//
//	TestStore/guards/event_at_After_does_not_conflict,_at_After+1_it_does
//
// Each rule gets a new store and closes it. A missing ability of the store is no
// failure: the other functions of [Config] say whether it can be reopened, is
// locked, can be read only and recognizes a newer format, and Info says whether
// positions have gaps and which limits are kept. Rules that do not apply are
// skipped, and print the reason. A store that leaves gaps or keeps smaller limits is
// held to everything else. An [eventstore.RowStore] is held to the rules of rows,
// checkpoints and inline views too.
//
// A store that does not answer, or a loop that keeps a lock while its body runs,
// fails its rule after a while and does not hang the test. On a correct store no
// rule waits for time to pass, except the rules about views that overrun their
// deadline.
//
// # The model test
//
// [RunModel] sends random commits, reads, follows, lookups and reopenings to the
// store and to an oracle, and compares every answer. If both are RowStores it also
// sends changes and scans of rows:
//
//	func TestStore_Model(t *testing.T) {
//		storetest.RunModel(t,
//			storetest.Config{Open: open, Reopen: reopen},
//			storetest.Config{Open: func(testing.TB) eventstore.Store { return memstore.New(nil) }})
//	}
//
// Each run has a seed and prints it; YORE_SEED=<seed> go test repeats the run.
//
// # Mutants
//
// A test that cannot fail is a defect. The tests of this package run the rules on
// stores that are broken on purpose, as real stores have been, and fail if no rule
// notices.
package storetest
