// Package memstore is an event log in memory, with rows and inline views. It
// keeps the whole contract of package eventstore but durability: what a unit
// test needs, and the oracle that other stores are compared with. It is written
// to be obviously right; queries scan the log.
//
//	store := memstore.New(nil)
//	defer store.Close()
package memstore
