// Package aggregate carries out commands: it loads a stream of events, folds the events
// into a state, calls a pure function that decides on the state, and appends the events
// that the function returns.
//
// A [Decider] is a category and three functions. Commands and events are the
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
// [Repository.LoadAt] and [Repository.LoadAsOf] return the state at a version or at a
// time, [Repository.History] the events. Package aggtest tests deciders without a store,
// and decisions on any store.
//
// # Decisions over more than one stream
//
// A [Model] is a query and the fold of the events that match it, by handlers of package
// fold. The query selects events of the log by tag, stream or category. A [Decision] lists
// the models that it depends on, each with a variable for its state, and decides on these:
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
// [Decisions] carries it out. The queries that were read are guarded: the events are
// appended only if no event that matches a model's query has come since. Decide says
// whether an event belongs to a stream:
//
//	decisions, err := aggregate.NewDecisions(store, registry, nil)
//	decided, err := decisions.Execute(ctx, decision)
//
// [Decider.Decision] is the decision of an aggregate about a command, and
// [Decision.Provided] adds rules over the rest of the log to it.
//
// Models name event types as they are registered today. They also read and guard events
// that were stored under older names if the registry's upcasters make them into these types;
// the decoded events are matched against the query again, with the stored tags. So renaming a type weakens no
// guard.
//
// # What Execute promises
//
// The events are appended only if the stream is still at the version that was decided on,
// or, for a Decision, if the guards of its models hold. After a conflict the new events are
// read and Decide is called again, a bounded number of times; so Decide must be pure. An
// error of Decide is the application's own: it is returned as it is, with the state that it
// was decided on.
//
// A command with a command id in its context (see [eventstore.WithCommandID]) is carried
// out once, however often it is sent: the id is the commit's key. If it is sent again, the
// answer is the first receipt, marked Repeated, with the state and events of that time, even
// if Decide would refuse the command now. Refusals, and commands that led to no event, are
// not recorded.
//
// A command id is the id of one command (I18). A digest of the command is stored with the
// commit, by default of its type and its JSON without the fields that are zero (see
// [CommandDigest]). If the id is used for another command, of the same aggregate or not, in a
// batch or as a decision, the error is a [*CommandIDError], and nothing is appended. A Decision
// names its Command for that. Options.Digest is for commands with parts that change when they
// are sent again, such as a time.
//
// A command can name the version of the aggregate that its sender has seen, as If-Match
// does in HTTP. At another version it is a conflict, and Decide is not called:
//
//	result, err := counters.Execute(ctx, "7", Increment{By: 2}, aggregate.If(version))
//
// Every event gets the metadata in the context (correlation id, causation id, actor …),
// and the time at which it happened if the context has one (see [eventstore.WithTime]).
//
// # Several commands, one commit
//
// [ExecuteAll] carries out commands on several aggregates as one commit, all or none:
//
//	receipt, err := aggregate.ExecuteAll(ctx,
//		accounts.Part(ctx, "ann", Withdraw{Amount: 5}, nil),
//		accounts.Part(ctx, "bob", Deposit{Amount: 5}, nil))
//
// # Long histories
//
// A load folds all events of a stream. Two caches shorten it. Each state in them is checked
// against the log and brought up to date before it is used, and both can be deleted. If the
// decider has a Clone, the states that were used last are kept in memory. With [Snapshots],
// states are stored beside the log, too:
//
//	counters, err := aggregate.NewRepository(store, registry, Decider, &aggregate.Options{
//		Snapshots: &aggregate.Snapshots{Fingerprint: "counter/1", Every: 1_000},
//	})
//	go func() { stopped <- counters.RunSnapshots(ctx) }()
//
// The fingerprint must change when the same events fold into another state:
// [Repository.VerifySnapshots] finds out if that was forgotten.
//
// # Memory and panics
//
// Evolve may change the state that it is given and return it: every call folds a state of
// its own, or a clone. It must not change the event, which other models may be given, too.
// A panic in the application's functions reaches the caller, and leaves no partly evolved
// state in memory. Decided events are folded before they are appended, as they will be read:
// what Evolve panics on is not in the log.
//
// The functions must be pure. A Decide that executes a command, and an Evolve that loads the
// aggregate that it is called for, get an error that matches [eventstore.ErrInvalid]. What they
// have another goroutine do is not noticed, and may wait for them for ever.
package aggregate
