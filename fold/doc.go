// Package fold asks a question of the log: typed handlers, one for each event type
// that matters, carry a state along it.
//
//	f := fold.New(
//		fold.On(func(pieces int, e ItemAdded) int { return pieces + e.Quantity }),
//		fold.On(func(pieces int, e ItemRemoved) int { return pieces - e.Quantity }),
//	)
//	pieces, at, err := f.Run(ctx, store, registry, nil)
//
// A handler takes the events of one Go type, as the registry decodes them. [On] gives
// it the event, [OnEvent] an [Event], which is what is stored with it too: position,
// stream, time, tags, metadata. An interface stands for all registered types that
// implement it.
//
// A [Fold] is its handlers and the state that they begin with. [Fold.Run] reads
// what the handlers name, across all streams and in the order of the log, and returns
// the state and the position that it is true for. [Options] narrow it to a query, or
// let it end at an earlier position or time.
//
// The same handlers make the models that decisions are made on (package aggregate),
// and the handlers of read models take the same Event (package projection): take a
// fold for a question that is asked now and then, a model for what must stay true
// until a decision is in the log, a projection for an answer that is kept ready.
//
// # Guarantees
//
// A run sees the log as it was when it began, each event once. An event that was
// stored under an older name is found as what the registry's upcasters make of it
// today: each part of an event that was split is handled in turn, and one that was
// dropped is passed over.
//
// Nothing is left out in silence: an event of a handled name that cannot be decoded
// is an error with its position. A handled name that is also registered in a version
// without a handler is refused before anything is read, with everything else that is
// wrong.
//
// # Limits
//
// Nothing is kept: each run reads all events that the handlers name. The state is in
// memory.
package fold
