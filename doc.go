// Package yore is event sourcing in one file: an append-only log of events, and all that is
// derived from it, in a [bbolt] database that the program itself opens. There is no server.
//
// This package has no code. It is the front page of the module, and the map of its packages.
//
// # Five to begin with
//
//   - [github.com/yore-es/yore/eventstore] is the contract of the log: events, streams,
//     positions, queries, guards, errors. The log itself is in eventstore/boltstore, one
//     file, or in eventstore/memstore, in memory, for tests.
//   - [github.com/yore-es/yore/codec] gives Go types the names and versions that they are
//     stored under, and reads what earlier versions of a program have stored.
//   - [github.com/yore-es/yore/aggregate] carries out commands: it loads a state from its
//     events, asks pure functions, and appends what they decide.
//   - [github.com/yore-es/yore/projection] keeps read models: typed tables with indexes in
//     the same file, committed with the position that they are true for.
//   - [github.com/yore-es/yore/command] takes all commands at one door, with middleware.
//
// # To add when needed
//
//   - [github.com/yore-es/yore/fold] answers a question from the log, without tables.
//   - [github.com/yore-es/yore/aggregate/aggtest] tests deciders: given, when, then.
//   - [github.com/yore-es/yore/codec/codectest] keeps a sample of each event, as it is
//     stored, and tells when today's code reads it in another way.
//   - [github.com/yore-es/yore/codec/doctor] finds what today's code cannot read in a log.
//   - [github.com/yore-es/yore/eventstore/storetest] tests another store for the contract.
//
// # How they fit together
//
// A command is decided by a decider, a pure function of a state and a command. The events
// that it returns are appended to the log under optimistic concurrency: only if the stream,
// or all that the decision was made on, is as it was. They are on disk when the call
// returns. Views are folds of the log. A goroutine that reacts to events follows the log.
//
//	store, err := boltstore.Open("shop.yore", nil)
//	…
//	b := codec.NewBuilder()
//	codec.Register[ItemAdded](b, "cart.item-added", 1)
//	registry, err := b.Build()
//	…
//	carts, err := aggregate.NewRepository(store, registry, decider, nil)
//	…
//	result, err := carts.Execute(ctx, "7", AddItem{SKU: "mug"}) // the stream is cart-7
//
// The README has this program in full, and docs/ a tutorial, how-to pages, the words, the
// errors, the limits, and how it works inside.
//
// [bbolt]: https://pkg.go.dev/go.etcd.io/bbolt
package yore
