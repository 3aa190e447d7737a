// Package linear proves that the store looks like one log to all concurrent callers:
// every history of concurrent calls can be explained by the calls happening one at a
// time, each between its invocation and its response (linearizability). A sequential
// model of the contract, a few functions over a slice of events (model.go),
// determines what the calls must answer. Porcupine searches for an order that
// explains the history.
//
// Histories are made in segments of a few hundred calls on a new log each, so that
// the search ends. Most segments call a store in this process. In the others the
// store is in a child, which is killed by SIGKILL several times and started again on
// the same file. A call in progress then has no answer. If the log that is found
// afterwards has the commit's events, the call must have happened before the kill;
// otherwise the events must never show, and the call is left out of the history.
//
// A failing case is the history itself: a schedule cannot be repeated, but a history
// can be judged again.
package linear
