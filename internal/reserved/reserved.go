// Package reserved knows the names that are the library's own: types and streams that
// begin with "yore.", keys and views that begin with "yore/", metadata that begins with
// "yore-". The layers above a store refuse them from applications; a store takes them,
// since the library writes them.
package reserved

import (
	"fmt"
	"strings"

	"github.com/yore-es/yore/internal/quote"
)

// Type returns an error that says so if the event type is the library's own.
func Type(name string) error { return refuse("type", name, "yore.") }

// Stream returns an error that says so if the stream is the library's own, as a stream of
// a category that begins so is.
func Stream(name string) error { return refuse("stream", name, "yore.") }

// Key returns an error that says so if the key of a commit, which a command id is, is the
// library's own.
func Key(name string) error { return refuse("key", name, "yore/") }

// View returns an error that says so if the view is the library's own.
func View(name string) error { return refuse("view", name, "yore/") }

// Metadata returns an error that says so if one of the keys is the library's own: the
// first of them by name.
func Metadata(m map[string]string) error {
	const prefix = "yore-"
	first := ""
	for key := range m {
		if strings.HasPrefix(key, prefix) && (first == "" || key < first) {
			first = key
		}
	}
	return refuse("metadata", first, prefix)
}

func refuse(what, name, prefix string) error {
	if strings.HasPrefix(name, prefix) {
		return fmt.Errorf("%s %s: names that begin with %q are the library's own", what, quote.Name(name), prefix)
	}
	return nil
}
