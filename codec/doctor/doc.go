// Package doctor decodes every event of a store with the registry of today, and
// says which ones cannot be read, which ones only upcasters read, and which ones
// would carry other tags if they were written today.
//
//	report, err := doctor.Examine(ctx, store, registry, nil)
//	if err != nil {
//		return err
//	}
//	fmt.Print(report)
//
// Run it on a copy or on the store itself, before a program with changed events
// goes to work on it: it only reads, and it can run while others append.
package doctor
