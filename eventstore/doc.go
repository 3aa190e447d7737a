// Package eventstore is the contract of Yore's log: what an event is, how
// events are appended under conditions, how they are read and followed, and
// which errors a caller can match. It holds no engine and no codec. The engines
// are in boltstore (one bbolt file) and memstore (memory, for tests); storetest
// holds any implementation to the rules written here.
//
// # Events, streams and the log
//
// A [Store] is one append-only log. Each [Event] has a [Position] in it: 1, 2,
// 3 … in the order in which the events were committed, which is also the order
// in which anyone can see them. An event may belong to a stream, a named
// sequence such as "cart-7" that holds the history of one thing; its place
// there is its [Version], again 1, 2, 3 … without gaps. The part of a stream's
// name before the first dash is its category, the part after it its id ([StreamID]).
// Events also carry tags ("customer:42"), by which they can be found and guarded
// across streams.
//
// # Appending
//
// A [Commit] is what one Append makes durable, all or nothing: events for any
// number of streams, each written stream under exactly one [Expectation], and
// any number of guards. [AppendTo] is the short form for one stream:
//
//	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.At(3),
//		eventstore.NewEvent{Type: "cart.item-added", Data: data})
//
// An expectation says at which version a stream must be. A [Guard] says the
// same of any [Query]: append only if no event after position P matches it. An
// expected version is a guard on a stream; a guard is how a decision that read
// more than one stream stays true until it is written. When a condition does
// not hold, Append returns a [*ConflictError] that says which condition, what
// was expected, what was found, and where.
//
// A commit may carry a Key. A key appends once: sending the commit again
// returns the first [Receipt], marked Repeated, and writes nothing.
//
// # Reading and following
//
// Read yields the events that match a query, as a snapshot that is fixed when
// ranging starts. Follow yields the same events and then stays, yielding what
// is appended from then on, in batches that say how far they reach. Both are
// ordinary range loops; the loop's body may do what it likes, including append
// to the same store.
//
//	for event, err := range store.Read(ctx, eventstore.Stream("cart-7"), eventstore.ReadOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Version, event.Type)
//	}
//
// A query is built from items with [Match], or with the short forms [Stream],
// [Category] and [All]. There is no query that means "everything" by accident:
// the zero Query is refused.
//
// # Metadata
//
// Who, why and as part of what: correlation id, causation id, command id, actor
// and trace parent travel in the context (see [WithCorrelationID] and its
// siblings) and are put into each event's [Metadata] by the layers above. So
// does the time at which something happened, where that is not now ([WithTime]).
// A Store itself does not look at what the context carries.
//
// # The library's own names
//
// Types and streams that begin with "yore.", keys and views that begin with "yore/", and
// metadata keys that begin with "yore-" are written by the library itself. A Store takes
// them; the packages above refuse them from applications.
//
// # Errors
//
// Every error of a store matches one of the sentinels of this package with
// [errors.Is], or the context's error, or is an error of the operating system
// (a full disk) that failed this call alone. On any error but
// [ErrUnknownOutcome], nothing of a commit is in the log, and never will be.
package eventstore
