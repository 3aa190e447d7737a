// Package projection keeps read models: tables in the store, beside the log, that
// answer questions. For a question that is asked now and then, package fold needs no
// tables.
//
// # Read models
//
// A [Projection] keeps its answer in tables, in the store, beside the log. It is
// a name, a version, [Table]s with an [Index] or more, and handlers, each for the
// events of one Go type, or of all that implement an interface:
//
//	p := projection.New("best-sellers", 1)
//	top := projection.NewTable[string, Seller](p, "by-product")
//	byPieces := projection.NewIndex(top, "pieces", func(s Seller) (int, bool) { return s.Pieces, true })
//	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
//		return top.In(tx).Update(e.Data.SKU, func(s Seller) Seller {
//			s.Pieces += e.Data.Quantity
//			return s
//		})
//	})
//
// The same definition has three lives. [Run], or a [Runner] for many, keeps it up
// to date beside the writers; [Wait] waits until it shows what was appended:
//
//	err = projection.Run(ctx, store, registry, p)
//
// [Attach] has the store commit its rows with the events, so that when Append
// returns, the tables show them:
//
//	err = projection.Attach(ctx, store, registry, p)
//
// [Build] makes it in memory, as of any position, and stores nothing:
//
//	view, err := projection.Build(ctx, store, registry, p, nil)
//
// However it lives, it is read in the same way:
//
//	row, ok, err := top.Get(ctx, store, "23843")
//	for row, err := range byPieces.Scan(ctx, store, projection.Range[int]{}.Backward().Limit(10)) { … }
//
// # Versions
//
// Whoever changes what the handlers do raises the version. The new version is
// built from the start of the log by whatever brings it up, Run, Attach or
// [Rebuild], while the old one is read as before; when it has come to the head it
// replaces the old one, in one commit. Until then its readers get a
// *[RebuildingError], and from then on those of the old one a *[ReplacedError].
// Rebuild builds a version that is live once more, beside itself: after a fault,
// or when its handlers were wrong. [Projection.Status] tells how a version is.
//
// An event that is renamed in the registry ([codec.Rename]) or has a new version
// of its payload is no reason to raise the version: the projection goes on, over
// old events and new ones, and a program that does not know the new name is
// refused once there are events of it. A projection whose handlers take events of
// another kind now, because an upcaster makes such events into theirs, is refused
// until its version is raised: its tables do not show those that are stored
// already.
//
// # Guarantees
//
// Tables show the fold of the log up to the view's checkpoint, Row.At and Rows.At,
// and of nothing after: rows and checkpoint are one commit, expected to follow the
// one before. So no event is skipped or doubled, whatever is killed when and
// whoever else runs the same. An event that cannot be applied is never passed
// unless the projection says [Skip]. No handler can keep an event from being
// appended.
//
// Nothing is left out in silence: an event of a handled name that cannot be
// decoded is an error with its position, and a handled name of which another
// version is registered without a handler is refused before anything is read,
// with everything else that is wrong with a definition, in an error that matches
// [eventstore.ErrInvalid].
//
// # Limits
//
// The checkpoint of a run is not the end of a commit of events: a run may commit
// between two events of one, and does so when behind. Two scans are two moments.
// A run, and a store for each view that is attached, remembers rows that it has
// read or committed, 16 MiB of them at most. In a projection whose version was
// not raised, changed handlers are noticed only if the events they take, or the
// tables, indexes or keys, are others: who runs it is refused then, and who reads
// it if its tables are others.
package projection
