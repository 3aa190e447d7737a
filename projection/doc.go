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
// A [Host] keeps projections in a store. It is made once, and shared by all of a
// program:
//
//	views, err := projection.NewHost(store, registry, nil)
//
// The same definition has three lives. [Host.Run] keeps it up to date beside the
// writers, until the context ends:
//
//	err = views.Run(ctx, p)
//
// [Host.Attach] has the store commit its rows with the events, so that when Append
// returns, the tables show them:
//
//	err = views.Attach(ctx, p)
//
// [Build] makes it in memory, as of any position, and stores nothing:
//
//	view, err := projection.Build(ctx, store, registry, p, nil)
//
// However it lives, it is read in the same way:
//
//	row, ok, err := top.Get(ctx, store, "23843")
//	for row, err := range byPieces.Scan(ctx, store, projection.Range[int]{}.Backward().Limit(10)) { … }
//	page, err := byPieces.Page(ctx, store, projection.AtLeast(5).Limit(20).After(cursor))
//
// [Host.Ready] waits until projections can be read, which a server does before it
// listens, and [Host.Wait] until they show what was appended. [Host.Status] tells
// how one is.
//
// # Versions
//
// When what the handlers do changes, the version must be raised. The new version is
// built from the start of the log by Run, Attach or [Host.Rebuild], while the old
// one is read as before. When it has come to the head it replaces the old one, in
// one commit. Until then its readers get a *[RebuildingError], and from then on
// those of the old one a *[ReplacedError]. Rebuild also builds a version that is
// live once more, beside itself: after a fault, or when its handlers were wrong.
//
// An event that is renamed in the registry ([codec.Rename]) or has a new version
// of its payload is no reason to raise the version: the projection goes on, over
// old events and new ones. A program that does not know the new name is refused
// once there are events of it. A projection whose handlers take events of another
// kind now, because an upcaster makes such events into theirs, is refused until its
// version is raised: its tables do not show the events that are stored already.
//
// # Failures
//
// An event that cannot be applied is never passed unless the projection says
// [Skip]. One that is run stops before it, or with [Retry] tries it again; Run goes
// on with the other projections. One that is attached stops with a fault, and the
// event is appended all the same: no handler can keep an event from being appended.
//
// Nothing is left out in silence: an event of a handled name that cannot be
// decoded is an error with its position, and a handled name of which another
// version is registered without a handler is refused before anything is read,
// with everything else that is wrong with a definition, in an error that matches
// [eventstore.ErrInvalid].
//
// # Guarantees
//
// Tables show the fold of the log up to the view's checkpoint, which each read
// returns with the rows, and of nothing after: rows and checkpoint are one commit,
// which must follow the one before. So no event is skipped or doubled, whatever is
// killed when, and even if two processes run the same projection.
//
// # Limits
//
// The checkpoint of a run is not the end of a commit of events: a run may commit
// between two events of one, and does so when behind. Two scans are two moments.
// A run, and a store for each view that is attached, remembers rows that it has
// read or committed, 16 MiB of them at most. In a projection whose version was
// not raised, changed handlers are noticed only if they take other events, or if
// tables, indexes or keys have changed: then Run, Attach and CatchUp refuse it, and
// reads do if its tables have changed.
package projection
