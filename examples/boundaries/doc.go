// Command boundaries decides about things that no single stream knows. It shows
// the well-known examples of dynamic consistency boundaries, one a file: its
// events, its models, its decisions.
//
//   - courses.go: a course has so many seats, a student so many courses
//   - usernames.go: a name is one person's, and for a while nobody's
//   - prices.go: the price that was shown is paid, for ten minutes
//   - optin.go: a token confirms an address once, within an hour
//   - invoices.go: numbers without gaps
//   - orders.go: a form that is sent twice orders once
//
// Run it to see each at work; the tests beside it are the rules as tables.
// Directory todo holds a whole program with a rule over all its streams.
package main
