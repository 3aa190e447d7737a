// Package aggtest tests deciders and decisions: given these events, when this
// command comes, then those events follow, or this refusal, or this state.
//
// # Deciders
//
// A [Scenario] is a decider and its events. No store is involved.
//
//	func TestCart_Remove(t *testing.T) {
//		cart := aggtest.New(t, registry, Decider)
//
//		cart.Given(ItemAdded{SKU: "a", Quantity: 2}).
//			When(RemoveItem{SKU: "a"}).
//			Then(ItemRemoved{SKU: "a"})
//
//		cart.Given(CartCheckedOut{}).
//			When(RemoveItem{SKU: "a"}).
//			ThenRejected(ErrCheckedOut)
//	}
//
// # Decisions
//
// A [Log] is the log that decisions are made on, with events in streams and in
// none, and a clock that goes only when the test says so. Decisions, their models
// and queries, are run as a program runs them, on a store of its own for each
// case.
//
//	func TestSubscribe(t *testing.T) {
//		log := aggtest.NewLog(t, registry).Given(CourseDefined{Course: "c1", Capacity: 1})
//
//		v := log.When(subscribe("s1", "c1")).Then(StudentSubscribed{Student: "s1", Course: "c1"})
//		v.After().When(subscribe("s2", "c1")).ThenRejected(ErrFullyBooked)
//	}
//
// [Log.At] and [Log.Later] set the time at which what follows is recorded, and
// happens. A decision that asks for the time gets it as an argument; [Log.Now]
// is at hand for that. [EachStore] runs the same test on several kinds of store,
// and a decider too: what it decides is a decision ([aggregate.Decider.Decision]).
//
// # What is checked besides
//
// Every event, given or decided, is encoded and decoded by the registry and must
// come back as it was, so that a field that would be lost on its way to the disk
// fails the test. Decide, which may be asked again, must leave the state of a
// decider alone, and say the same of a decision twice. Evolve must take what was
// decided, and a model of the decision must find it again, unless the Log has it
// [Log.Unread].
//
// Values are compared by what they hold, unexported fields included: times by
// the instant, and nil and empty slices and maps as the same. Failures show what
// was wanted and what was got as lines with - and +.
package aggtest
