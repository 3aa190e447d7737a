// Package projection keeps read models: tables in the store, beside the log, that answer
// questions. For an occasional question use package fold, which needs no tables.
//
// # Read models
//
// A [Projection] is the definition of a read model: a name, a version, [Table]s, each with
// any number of [Index]es, and handlers, each for the events of one Go type or of all
// types that implement an interface:
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
// A [Host] keeps projections in a store. A program makes one and shares it:
//
//	views, err := projection.NewHost(store, registry, nil)
//
// A projection is kept in one of three ways. [Host.Run] applies events after they were
// appended, until the context ends:
//
//	err = views.Run(ctx, p)
//
// [Host.Attach] has the store commit the rows with the events, so that the tables show the
// events when Append returns:
//
//	err = views.Attach(ctx, p)
//
// [Build] makes the tables in memory, as of any position, and stores nothing:
//
//	view, err := projection.Build(ctx, store, registry, p, nil)
//
// The tables are read in the same way in all three cases:
//
//	row, ok, err := top.Get(ctx, store, "23843")
//	for row, err := range byPieces.Scan(ctx, store, projection.Range[int]{}.Backward().Limit(10)) { … }
//	page, err := byPieces.Page(ctx, store, projection.AtLeast(5).Limit(20).After(cursor))
//
// [Host.Ready] waits until projections can be read: a server calls it before it listens.
// [Host.Wait] waits until they show what was appended. [Host.Status] reports how far a
// projection is, and what it has failed on.
//
// # Versions
//
// The version must be raised when the handlers change. Run, Attach or [Host.Rebuild] build
// the new version from the start of the log, while the old one is read as before. When the
// new version has reached the head it replaces the old one, in one commit. Until then its
// readers get a *[RebuildingError], and after that the readers of the old version get a
// *[ReplacedError]. Rebuild can also build the live version again, after a fault or after a
// handler was wrong.
//
// If an event is renamed in the registry ([codec.Rename]), or its payload gets a new
// version, the projection's version can stay: the projection goes on, over old events and
// new ones. A program that does not know the new name is refused once events with that name
// are in the log. If an upcaster changes which events the handlers take, the projection is
// refused until its version is raised, because its tables do not show the events of that
// kind that are already in the log.
//
// # Failures
//
// A projection never passes over an event that it cannot apply, unless its policy is
// [Skip]. A projection that is run stops before the event, or with [Retry] tries it again;
// Run goes on with the other projections. An attached projection stops with a fault, and the
// event is appended all the same: no handler can keep an event from being appended.
//
// An event with a handled name that cannot be decoded is an error, too. A definition is
// refused before anything is read if the registry has a version of a handled name that has
// no handler. That error matches [eventstore.ErrInvalid] and lists every other fault of the
// definition.
//
// # Guarantees
//
// Tables show the fold of the log up to the view's checkpoint, and nothing after it. Each
// read returns the checkpoint's position with the rows. Rows and checkpoint are one commit,
// which is refused unless it follows the one before. So each event is applied once, even if
// the process is killed at any moment, or two processes run the same projection.
//
// # Limits
//
// The checkpoint of a run may lie between two events of one commit, and does while the run
// is behind. Two scans may see two moments. A run, and the store for each attached view,
// keep rows that they have read or committed in memory, at most 16 MiB. If the version was
// not raised, changed handlers are noticed only if they take other events, or if tables,
// indexes or keys have changed: then Run, Attach and CatchUp refuse the projection, and
// reads do if its tables have changed.
package projection
