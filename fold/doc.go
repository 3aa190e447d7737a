// Package fold folds the log into a value: typed handlers, one for each event type that
// matters, carry a state along the log.
//
//	f := fold.New(
//		fold.On(func(pieces int, e ItemAdded) int { return pieces + e.Quantity }),
//		fold.On(func(pieces int, e ItemRemoved) int { return pieces - e.Quantity }),
//	)
//	pieces, at, err := f.Run(ctx, store, registry, nil)
//
// A handler takes the events of one Go type, as the registry decodes them. With [On] it is
// given the decoded event, with [OnEvent] an [Event], which also has what is stored with it:
// position, stream, time, tags, metadata. An interface stands for all registered types that
// implement it.
//
// A [Fold] is the handlers and the first state. [Fold.Run] reads the events that the
// handlers take, of all streams and in the order of the log, and returns the state and the
// position that it is true for. [Options] narrow it to a query, an earlier position or an
// earlier time.
//
// The models of decisions (package aggregate) have the same handlers, and the handlers of
// read models (package projection) take the same Event. Use a fold for an occasional
// question, a model for a state that must still be true when the decision is appended, and a
// projection for an answer that is kept up to date.
//
// # Guarantees
//
// A run sees the log as it was when the run began, and each event once. An event that was
// stored under an older name is handled as what the registry's upcasters make of it: each
// part of an event that is split, in order, and nothing of one that is dropped.
//
// An event with a handled name that cannot be decoded is an error with its position. A fold
// is refused before anything is read if the registry has a version of a handled name that
// has no handler. That error lists every other fault of the fold.
//
// # Limits
//
// Nothing is stored: each run reads all events that the handlers take. The state is in
// memory.
package fold
