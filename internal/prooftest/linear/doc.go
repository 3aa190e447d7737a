// Package linear proves that the store looks like one log to all who use it at
// once: every history of concurrent calls can be explained by the calls
// happening one at a time, each between its invocation and its response
// (linearizability). What the calls must answer is said by a sequential model
// of the contract, a few functions over a slice of events (model.go); whether
// there is an order that explains the history is found out by porcupine.
//
// Histories are made in segments of a few hundred calls on a new log each, so
// that an order can be searched for. Most segments call a store in this
// process. In the others the store is in a child, which is killed by SIGKILL
// some times in the middle of things and started again on the same file. A call
// that was on its way then has no answer. If the log that is found afterwards
// has the commit's events, the call must have happened before the kill;
// otherwise it must never show, and is left out of the history.
//
// A failing case is the history itself: schedules cannot be repeated, but what
// was seen can be judged again.
package linear
