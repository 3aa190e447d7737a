// Command boundaries makes decisions that depend on more than one stream. It has the
// well-known examples of dynamic consistency boundaries, one a file, with events, models
// and decisions:
//
//   - courses.go: a course has a limit of students, a student a limit of courses
//   - usernames.go: a name belongs to one account, and is reserved for a while after it
//   - prices.go: a price stays valid for ten minutes after it was changed
//   - optin.go: a token confirms an address once, within an hour
//   - invoices.go: numbers without gaps
//   - orders.go: a form that is sent twice orders once
//
// The program runs each of them. The tests have the rules as tables. Directory todo has a
// whole program with a rule over all its streams.
package main
