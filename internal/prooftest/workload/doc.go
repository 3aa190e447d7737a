// Package workload is what the proofs do to a store, and how they judge what is
// left of it.
//
// A [Script] makes every commit from a number, so that whoever finds an event
// knows what it must look like, byte for byte. A scenario, run in a process of
// its own, appends commits and keeps views, and writes down what it begins and
// what it was told, as marks, into a file on the same disk. [History] reads the
// marks and says what may be in the log, and what must. [Check] holds a file to
// it.
package workload
