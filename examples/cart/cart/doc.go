// Package cart is the domain of a shopping cart: its events, its commands, the rules that
// turn commands into events, and the read models. Nothing here opens a log or starts a
// goroutine.
//
// Read it in this order:
//
//   - [Event]: the facts, and their stable names ([Registry])
//   - [State]: the content of a cart, and how each event changes it ([Evolve])
//   - [Command]: the requests of a shopper
//   - [Decide]: the rules, which return events or a [Refusal] for a command
//   - [Decider]: state, rules and category together, for a repository
//   - [BestSellers]: a fold of the whole log, on demand
//   - [Summaries], [Ranking]: read models, in tables beside the log
//
// A line of a cart is an item at a unit price. An item that is added again at the same
// price increases its line; at another price it gets a new line, so the cart knows the
// price of each piece. Commands name items, events name lines.
//
// Amounts are [Money], whole thousandths. The rules refuse a command if a sum or a
// product would overflow.
package cart
