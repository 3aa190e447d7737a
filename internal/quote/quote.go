// Package quote puts names into the texts of errors: quoted, and cut where they are
// long. A name in an error may be of any length, as the error may be that it is too long.
package quote

import (
	"fmt"
	"strconv"
)

// most is how many characters of a name are shown. Every name that a store takes has
// fewer: those are shown whole.
const most = 300

// Name returns the name quoted as %q does it. Of one with more than 300 characters it
// quotes the first 300 and "…", and says how many bytes the whole has.
func Name(s string) string {
	characters := 0
	for i := range s {
		if characters == most {
			return fmt.Sprintf("%s (%d bytes)", strconv.Quote(s[:i]+"…"), len(s))
		}
		characters++
	}
	return strconv.Quote(s)
}
