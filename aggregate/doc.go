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
// version or at a time, [Repository.History] the events themselves. Package aggtest
// tests deciders without a store, and decisions on any store.
//
// # Decisions over more than one stream
//
// A [Model] is a query and the fold of what it finds, by handlers of package fold:
// which of the log's events matter, by tag, stream or category, and what they come
// to. A [Decision] names the models that it depends on, each with a variable for its
// state, and decides on these:
//
//	func seatsTaken(course string) aggregate.Model[int] {
//		return aggregate.NewModel(aggregate.Tagged("course:"+course),
//			fold.On(func(n int, _ StudentSubscribed) int { return n + 1 }))
//	}
//
//	var taken int
//	decision := aggregate.Decision{
//		Models: aggregate.Models{seatsTaken("c1").Into(&taken)},
//		Decide: func() ([]any, error) {
//			if taken >= 30 {
//				return nil, ErrFullyBooked
//			}
//			return []any{StudentSubscribed{Student: "s1", Course: "c1"}}, nil
//		},
//	}
//
// [Decisions] carries it out. What was read is what is guarded: the events are
// appended only if none has come that one of the models asks for. They are in
// streams or in none, as Decide says:
//
//	decisions, err := aggregate.NewDecisions(store, registry, nil)
//	decided, err := decisions.Execute(ctx, decision)
//
// A decider has a part in that: [Decider.Decision] is what an aggregate decides,
// and [Decision.Provided] adds rules over the rest of the log to it.
//
// Models ask for events by the names of today, and get, and guard against, those
// that were stored under older names too, if the registry's upcasters make them
// so; what these make of an event is matched again, with the tags that were
// stored. So a rename weakens no guard.
//
// # What Execute promises
//
// The events are appended only if the stream is still at the version that was
// decided on, or, for a Decision, if the guards of its models hold. If somebody
// else was faster, the new events are read and Decide is asked again, a bounded
// number of times; so Decide must be pure. What Decide refuses is the
// application's own error and is returned as it is, with the state it was judged
// by.
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
// A command can say at which version its sender has seen the aggregate, as If-Match
// does in HTTP. At another version it is a conflict, and Decide is not asked:
//
//	result, err := counters.Execute(ctx, "7", Increment{By: 2}, aggregate.If(version))
//
// The metadata in the context (correlation id, causation id, actor …) is put on
// every event, and so is the time at which it happened, if the context says one
// (see [eventstore.WithTime]).
//
// # Several commands, one commit
//
// [ExecuteAll] carries out commands on several aggregates as one commit, all or
// none:
//
//	receipt, err := aggregate.ExecuteAll(ctx,
//		accounts.Part(ctx, "ann", Withdraw{Amount: 5}, nil),
//		accounts.Part(ctx, "bob", Deposit{Amount: 5}, nil))
//
// # Long histories
//
// A load folds all events of a stream. Two caches spare it that; neither is ever
// believed without a look at the log, and both can be thrown away. A decider with a
// Clone has the states that were used last kept in memory; with [Snapshots], states
// are kept beside the log, too:
//
//	counters, err := aggregate.NewRepository(store, registry, Decider, &aggregate.Options{
//		Snapshots: &aggregate.Snapshots{Fingerprint: "counter/1", Every: 1_000},
//	})
//	go func() { stopped <- counters.RunSnapshots(ctx) }()
//
// The fingerprint must change when what the events come to does:
// [Repository.VerifySnapshots] finds out if it did not.
//
// # Memory and panics
//
// Evolve may change the state it is given and return it: every call folds a
// state of its own, or a clone. It must not change the event, which other models
// may be given too. A panic in the application's functions reaches the caller, and
// leaves nothing in memory that was half done.
package aggregate
