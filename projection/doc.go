// Package projection folds the log into values that answer questions.
//
// A [Fold] is the small form: typed handlers, one for each event type that
// matters, and a value that they carry along the log, across all streams.
//
//	type Pieces map[string]int
//
//	var pieces = projection.NewFold(
//		func() Pieces { return Pieces{} },
//		projection.When(func(p Pieces, e projection.Event[ItemAdded]) Pieces {
//			p[e.Data.SKU] += e.Data.Quantity
//			return p
//		}),
//		projection.When(func(p Pieces, e projection.Event[ItemRemoved]) Pieces {
//			p[e.Data.SKU] -= e.Data.Quantity
//			return p
//		}),
//	)
//
// [Fold.Run] reads what the handlers name, in the order of the log, and returns
// the value and the position it is true for:
//
//	p, through, err := pieces.Run(ctx, store, registry, nil)
//
// [FoldOptions] narrow it to a query, or let it end at an earlier position or
// time.
//
// # Guarantees
//
// The value is the fold of every event up to the position whose type has a
// handler, and of no other. Nothing is left out in silence: an event of a
// handled name that cannot be decoded is an error with its position, and a
// handled name of which another version is registered without a handler is
// refused before anything is read.
package projection
