// Package doctor decodes every event of a store with the current registry. It
// reports the events that cannot be read, those that only upcasters read, and those
// that would have other tags if they were written today.
//
//	report, err := doctor.Examine(ctx, store, registry, nil)
//	if err != nil {
//		return err
//	}
//	fmt.Print(report)
//
// Run it on the store, or on a copy, before a program with changed events is
// deployed. It only reads, and can run while other goroutines of the program append.
// Another process cannot have the file of a boltstore open meanwhile.
package doctor
