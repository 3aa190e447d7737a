// Package memstore is an event log in memory, with rows and inline views. It keeps
// the whole contract of package eventstore except durability. It is for unit tests,
// and it is the oracle that tests compare other stores with, so the code is simple
// rather than fast: each query scans the log.
//
//	store := memstore.New(nil)
//	defer store.Close()
package memstore
