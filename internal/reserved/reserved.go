// Package reserved checks for names that are the library's own: types and streams that begin
// with "yore.", keys and views that begin with "yore/", metadata keys that begin with
// "yore-". The layers above a store refuse them from applications. A store accepts them,
// because the library writes them.
package reserved

import (
	"fmt"
	"strings"

	"github.com/yore-es/yore/internal/quote"
)

// Type returns an error if the event type is the library's own.
func Type(name string) error { return refuse("type", name, "yore.") }

// Stream returns an error if the stream, or the category, is the library's own.
func Stream(name string) error { return refuse("stream", name, "yore.") }

// Inbound is what the keys of [eventstore.InboundKey] begin with.
const Inbound = "yore/in/"

// Key returns an error if the key of a commit, which is a command id, is the library's own,
// and not one that the library has made of a message from outside.
func Key(name string) error {
	if strings.HasPrefix(name, Inbound) {
		return nil
	}
	return refuse("key", name, "yore/")
}

// View returns an error if the view is the library's own.
func View(name string) error { return refuse("view", name, "yore/") }

// Metadata returns an error if one of the keys is the library's own; it names the first of
// them in the order of their bytes.
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
