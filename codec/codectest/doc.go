// Package codectest keeps a sample of every event that was ever stored, in files
// beside the tests, and holds the code of today to them: a change that makes old
// events unreadable, or makes something else of them, fails a test and not
// production.
//
//	func TestEvents(t *testing.T) {
//		codectest.Golden(t, registry, "testdata/events",
//			ItemAdded{SKU: "23843", Quantity: 2},
//			CartCheckedOut{Pieces: 2})
//	}
//
// The files are written by
//
//	UPDATE_GOLDEN=1 go test
//
// and belong under version control. A file holds the event as it is stored, and,
// if that is another, what it is today. What is stored never changes, so it is
// written once; what it is today is written anew, for the eyes of a review.
package codectest
