// Package cart is a shopping cart as an application of Yore writes one: what
// can happen to a cart, what can be asked of it, the rules between the two, and
// what is made of it all to be read. Nothing here opens a log or starts anything.
//
// Read it in this order:
//
//   - [Event]: the facts, and the stable names they are stored under ([Registry])
//   - [State]: what a cart holds, and how each event changes it ([Evolve])
//   - [Command]: what a shopper can ask for
//   - [Decide]: the rules, which answer a command with events or a [Refusal]
//   - [Decider]: state, rules and category bound together, for a repository
//   - [BestSellers]: a question to the whole log, as a fold
//   - [Summaries], [Ranking]: read models, in tables that are kept beside the log
//
// A line of a cart is an item at a unit price. The same item added again at the
// same price grows its line; at another price it gets a line of its own, so that
// what each piece costs is never forgotten. Commands speak of items, events of
// lines.
//
// Amounts are [Money], whole thousandths. Sums and products that do not fit are
// refused by the rules and never wrap.
package cart
