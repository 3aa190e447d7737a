// Package workload has the work that the proofs give a store, and the check of a file.
//
// A [Script] makes every commit from a number, so the content of an event is known, byte
// for byte. A scenario, run in a process of its own, appends commits and maintains views.
// It writes marks into a file on the same disk: the start and the outcome of each step. A
// [History] is made from marks; it has the events that must be in the log, and those that
// may be. [Check] compares a file with it.
package workload
