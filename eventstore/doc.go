// Package eventstore is the contract of Yore's log: what an event is, how
// events are appended under conditions, how they are read and followed, and
// which errors a caller can match. It holds no engine and no codec. The engines
// are in boltstore (one bbolt file) and memstore (memory, for tests); storetest
// holds any implementation to the rules written here.
//
// # Events, streams and the log
//
// A [Store] is one append-only log. Each [Event] has a [Position] in it: 1, 2,
// 3 … in the order of the commits. Readers see events in the same order. An event
// may belong to a stream, a named sequence such as "cart-7" that holds the history
// of one thing; its place there is its [Version], again 1, 2, 3 … without gaps. The
// part of a stream's name before the first dash is its category, the part after it
// its id ([StreamID]). Events also carry tags ("customer:42"), by which they can be
// found and guarded across streams.
//
// # Appending
//
// A [Commit] is the unit of Append; all of it becomes durable, or nothing. It has
// events for any number of streams, exactly one [Expectation] for each stream that
// it writes, and any number of guards. [AppendTo] is the short form for one stream:
//
//	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.At(3),
//		eventstore.NewEvent{Type: "cart.item-added", Data: data})
//
// An expectation states the version that a stream must have. A [Guard] is the same
// for any [Query]: append only if no event after position P matches the query. An
// expected version is a guard on one stream. A guard protects a decision that was
// made from more than one stream. If a condition does not hold, Append returns a
// [*ConflictError] with the condition, the expected and the actual version, and the
// first event that breaks the condition.
//
// A commit may have a Key. A commit with a key is appended once: when it is sent
// again, Append writes nothing and returns the first [Receipt], marked Repeated.
//
// # Reading and following
//
// Read yields the events that match a query, from a snapshot that is fixed when
// ranging starts. Follow yields the same events, and then those that are appended
// later, in batches; each batch says how far it reaches. Both are ordinary range
// loops. No lock is held while the loop's body runs, so the body may call the
// store, Append included.
//
//	for event, err := range store.Read(ctx, eventstore.Stream("cart-7"), eventstore.ReadOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Version, event.Type)
//	}
//
// [Match] builds a query from items; [Stream], [Category] and [All] are short forms.
// No query selects every event by accident: the zero Query is refused.
//
// # Metadata
//
// The context carries the correlation id, causation id, command id, actor and trace
// parent of what is being done ([WithCorrelationID] and its siblings), and the time at
// which it happened, if that is not now ([WithTime]). The packages above copy them into
// the events that they append, as [Metadata] and Time. A Store ignores them.
//
// # The library's own names
//
// The library itself writes types and streams that begin with "yore.", keys and views
// that begin with "yore/", and metadata keys that begin with "yore-". A Store accepts
// these names; the packages above refuse them from applications.
//
// # Errors
//
// Every error of a store matches a sentinel of this package or the context's error, by
// [errors.Is], or it is an error of the operating system (a full disk) that failed this
// call alone. After any error of Append except [ErrUnknownOutcome], nothing of the commit
// is in the log, and never will be.
//
// # Invariants
//
// The promises are numbered, and cited as I1 to I12, here and in the code below:
//
//  1. Positions are in commit order, without gaps from 1 if Info says Gapless. Visible
//     events are durable, as Info says, and stay visible.
//  2. Versions of a stream are without gaps from 1.
//  3. An acknowledged event is on disk, if Info says Durable, and never changes.
//  4. A commit is all or nothing: in all its streams, its key, and the rows of every
//     attached view that applies it without a fault.
//  5. Expectations and guards are judged against all events before the commit, and no
//     others.
//  6. Indexes and views can be deleted. Only time is lost.
//  7. No transaction or lock is held while the caller's code runs.
//  8. The caller's code cannot stop appends: not by a slow follower, a panic, or a view
//     that is slow or has a fault.
//  9. Wrong bytes are never returned as data and never cause a panic. They are reported
//     with a position.
//  10. Nothing polls, and nothing sleeps to wait for an event.
//  11. Replay never runs a side effect.
//  12. Go type names are never stored.
package eventstore
