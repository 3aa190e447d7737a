// Package command sends each command to the one who carries it out, through
// whatever has to happen around all of them.
//
// A [Dispatcher] is made with its middleware, the first outermost, and is then
// told who handles what:
//
//	d := command.NewDispatcher(
//		command.Recover(),
//		command.Log(logger),
//		command.CorrelationID(nil),
//		command.Validate(),
//	)
//	err := command.Route(d, carts, Command.CartID) // every Command, to a repository
//	err = command.Handle(d, transfer)              // func(context.Context, Transfer) (Balance, eventstore.Receipt, error)
//
// [Handle] takes one command type. [Route] takes a family, an interface with a
// method that names the aggregate, and sends it to an [aggregate.Repository].
// [Dispatch] gives back what the handler returned, for a route the state:
//
//	state, receipt, err := command.Dispatch[State](ctx, d, AddItem{Cart: "7", SKU: "23843", Quantity: 2})
//
// Dispatch takes conditions after the command: with [aggregate.If] the command is carried
// out only if the aggregate is at this version.
//
// # Who gets it
//
// A handler for exactly the command's Go type comes first, then the family that
// it belongs to. None is an [*UnknownCommandError]; two families are an error
// that names both. A result type that the handler does not return is an error
// before any middleware or handler runs.
//
// # Middleware
//
// A [Middleware] wraps the [Handler] that follows it. Those of this package see
// to validation, authorization, logging, time, panics and the metadata in the
// context, from where repositories put it on events. [ID] makes a command one
// that is carried out once; a repeat says so in its receipt. This order does for
// most programs: what ends up in the log and in the log file first, then whether
// the command makes sense, then whether its actor may:
//
//	command.NewDispatcher(Recover, CorrelationID, ID, Metadata, Log, Timeout, Validate, Authorize)
//
// # Attempts
//
// Where others write to the same aggregate at the same time, commands are decided
// again. A route does so as its repository's options say; a [RetryPolicy] says
// otherwise, for all its commands or for one type. A function given to [Handle] is
// called once, whatever its error, unless a policy declares that it can be called
// again.
//
// # Several commands, one commit
//
// [DispatchAll] sends commands that must be carried out together: the events of
// all are in one commit, or none is. A refusal says which command it is of.
//
// # Tracing
//
// [Dispatcher.Observe] adds [Hooks] around commands and batches;
// [aggregate.Options] has those around loads and appends. They are given a context
// and return another, so that what happens within is seen as part of it.
package command
