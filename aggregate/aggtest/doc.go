// Package aggtest tests deciders: given these events, when this command comes,
// then those events follow, or this refusal, or this state. No store is
// involved.
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
// Two things are checked besides. Every event, given or decided, is encoded and
// decoded by the registry and must come back as it was, so that a field that
// would be lost on its way to the disk fails the test. And Decide must leave the
// state alone, since it may be asked again with the same one.
//
// Values are compared by what they hold, unexported fields included: times by
// the instant, and nil and empty slices and maps as the same. Failures show what
// was wanted and what was got as lines with - and +.
package aggtest
