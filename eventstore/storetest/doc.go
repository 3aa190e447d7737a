// Package storetest holds implementations of [eventstore.Store] to their
// contract: hundreds of named rules, and a model test that compares a store with
// one that is known to be right. Any store can be held to it in five lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Config{
//			Open: func(tb testing.TB) eventstore.Store { return memstore.New(nil) },
//		})
//	}
//
// # Rules
//
// [Run] holds the store to one rule per subtest, grouped by the part of the
// contract and named for what is promised, such as
//
//	TestStore/guards/event_at_After_does_not_conflict,_at_After+1_it_does
//
// Each rule gets a new store and closes it. What a store cannot do is no
// failure: the other functions of [Config] say what it can (be reopened, be
// locked, be read only, tell a newer format), and Info says whether positions
// have gaps and which limits are kept. Rules that cannot be held are skipped,
// and print the reason. A store that leaves gaps, or keeps smaller limits, is
// held to everything else. One that is an [eventstore.RowStore] is held to the
// rules of rows, checkpoints and inline views too.
//
// A store that does not answer, or a loop that keeps a lock while its body
// runs, fails its rule after a while; it does not hang the test. No rule waits
// for time to pass on a correct store, but those of views that overrun theirs.
//
// # The model test
//
// [RunModel] sends random commits, reads, follows, lookups and reopenings, and
// where both keep rows changes and scans of those, to the store and to an
// oracle, and compares every answer:
//
//	func TestStore_Model(t *testing.T) {
//		storetest.RunModel(t,
//			storetest.Config{Open: open, Reopen: reopen},
//			storetest.Config{Open: func(testing.TB) eventstore.Store { return memstore.New(nil) }})
//	}
//
// Each run has a seed and prints it; YORE_SEED=<seed> go test repeats the run.
//
// # How the rules are kept honest
//
// A test that cannot fail is a defect. The tests of this package run the rules
// on stores that are broken on purpose, as real stores have been, and fail when
// the rules do not notice.
package storetest
