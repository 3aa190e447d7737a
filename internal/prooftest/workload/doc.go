// Package workload is what the proofs do to a store, and how they judge a file.
//
// A [Script] makes every commit from a number, so that an event determines what it
// must be, byte for byte. A scenario, run in a process of its own, appends commits
// and maintains views. It writes marks into a file on the same disk: what it begins,
// and the outcome. A [History] is made of marks and says what may be in the log, and
// what must be. [Check] compares a file with it.
package workload
