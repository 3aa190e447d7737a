// Package codectest keeps a sample of every event that was ever stored, in files
// beside the tests, and decodes the samples with the current code. A change that
// makes old events unreadable, or decodes them to something else, fails a test
// before it reaches production.
//
//	func TestEvents(t *testing.T) {
//		codectest.Golden(t, registry, "testdata/events",
//			ItemAdded{SKU: "23843", Quantity: 2},
//			CartCheckedOut{Pieces: 2})
//	}
//
// The command
//
//	UPDATE_GOLDEN=1 go test
//
// writes the files, which belong under version control. A file holds the event as
// stored and, if that differs, the event as decoded and encoded today. The stored
// part is written once and never changes; the other part is written again with each
// update, so that a review shows the change.
package codectest
