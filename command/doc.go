// Package command dispatches commands to their handlers, through middleware.
//
// A [Dispatcher] is made with its middleware, the first outermost. Then handlers are
// registered:
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
// [Handle] registers a function for one command type. [Route] sends a family of commands,
// an interface with a method that names the aggregate, to an [aggregate.Repository].
// [Dispatch] returns the result of the handler; for a route that is the state:
//
//	state, receipt, err := command.Dispatch[State](ctx, d, AddItem{Cart: "7", SKU: "23843", Quantity: 2})
//
// Dispatch takes conditions after the command: with [aggregate.If] the command is carried
// out only if the aggregate is at this version.
//
// # The choice of the handler
//
// A handler for exactly the command's Go type comes first, then the family that the command
// belongs to. If there is none, the error is an [*UnknownCommandError]. If there are two
// families, the error names both. A result type that the handler does not return is an
// error before any middleware or handler is called.
//
// # Middleware
//
// A [Middleware] wraps the [Handler] that follows it. This package has middleware for
// validation, authorization, logging, timeouts, panics, and the metadata in the context,
// which repositories put on events. With [ID] a command is carried out once; the receipt of
// a repeat says so. Most programs can use this order: first what the log and the log file
// must show, then whether the command is valid, then whether its actor may send it:
//
//	command.NewDispatcher(Recover, CorrelationID, ID, Metadata, Log, Timeout, Validate, Authorize)
//
// # Attempts
//
// After a conflict with another writer a command is decided again. A route does so as its
// repository's options say, unless a [RetryPolicy] says otherwise, for all its commands or
// for one type. A function given to [Handle] is called once, whatever its error, unless a
// policy declares that it can be called again.
//
// # Several commands, one commit
//
// [DispatchAll] carries out several commands together: the events of all are one commit, or
// nothing is appended. The error of a refusal names the command.
//
// # Tracing
//
// [Dispatcher.Observe] adds [Hooks] around commands and batches; [aggregate.Options] has
// those around loads and appends. A hook is given a context and returns one, so that inner
// operations become part of the outer ones in a trace.
package command
