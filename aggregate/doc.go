// Package aggregate carries out commands on things that have a history: it
// loads a stream of events, folds it into a state, lets a pure function decide,
// and appends what was decided.
//
// A [Decider] is three functions and a category. Commands and events are the
// application's own types, usually one sealed interface for each:
//
//	type Event interface{ isEvent() }
//
//	type Incremented struct{ By int }
//	type Stopped struct{}
//
//	func (Incremented) isEvent() {}
//	func (Stopped) isEvent()     {}
//
//	func evolve(s State, event Event) State {
//		switch e := event.(type) {
//		case Incremented:
//			s.N += e.By
//		case Stopped:
//			s.Stopped = true
//		}
//		return s
//	}
//
//	var Decider = aggregate.Decider[State, Command, Event]{
//		Category: "counter",
//		Decide:   decide, // func(State, Command) ([]Event, error)
//		Evolve:   evolve, // func(State, Event) State
//	}
//
// A [Repository] binds it to a store and to the registry of the events' names:
//
//	counters, err := aggregate.NewRepository(store, registry, Decider, nil)
//	result, err := counters.Execute(ctx, "7", Increment{By: 2}) // stream "counter-7"
//	state, version, err := counters.Load(ctx, "7")
//
// [Repository.LoadAt] and [Repository.LoadAsOf] give the state as it was at a
// version or at a time, [Repository.History] the events themselves. Package aggtest tests deciders without a store.
//
// # What Execute promises
//
// The events are appended only if the stream is still at the version that was
// decided on. If somebody else was faster, the new events are read and Decide
// is asked again, a bounded number of times; so Decide must be pure. What Decide
// refuses is the application's own error and is returned as it is, with the
// state it was judged by.
//
// A command with a command id in its context (see
// [eventstore.WithCommandID]) is carried out once, however often it is sent:
// the id is the commit's key. Sent again, it is answered with the first receipt,
// marked Repeated, and with the state and events as of then, even where it would
// be refused by now. Refusals, and commands that led to no event, are not
// remembered. Each command needs an id of its own: what is compared is the id and
// not the command. Used again on another stream it is an error; on the same
// stream it is taken for the first command sent again.
//
// The metadata in the context (correlation id, causation id, actor …) is put on
// every event, and so is the time at which it happened, if the context says one
// (see [eventstore.WithTime]).
//
// # Memory and panics
//
// Evolve may change the state it is given and return it: every call of a
// Repository folds a state of its own. A panic in the decider's functions
// reaches the caller.
package aggregate
