// Package quote shortens the names and texts that errors repeat.
package quote

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// limit is the largest number of characters that are returned.
const limit = 300

// Name returns s as a quoted Go string of at most 300 characters. A longer one is
// cut between two characters, and its length follows:
//
//	"aaaa…" (5000 bytes)
//
// So an error does not repeat a name in full that was refused for its length.
func Name(s string) string {
	if len(s) <= limit*utf8.UTFMax { // else it has more than limit characters
		if quoted := strconv.Quote(s); utf8.RuneCountInString(quoted) <= limit {
			return quoted
		}
	}
	end := `…" (` + strconv.Itoa(len(s)) + ` bytes)`
	room := limit - utf8.RuneCountInString(end)
	var b strings.Builder
	b.WriteByte('"')
	for used := 1; ; {
		_, size := utf8.DecodeRuneInString(s)
		quoted := strconv.Quote(s[:size])
		character := quoted[1 : len(quoted)-1]
		if used += utf8.RuneCountInString(character); used > room {
			return b.String() + end
		}
		b.WriteString(character)
		s = s[size:]
	}
}

// Text returns s in at most 300 characters, cut as by Name, without quotes.
func Text(s string) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	end := "… (" + strconv.Itoa(len(s)) + " bytes)"
	room := limit - utf8.RuneCountInString(end)
	for i := range s {
		if room--; room < 0 {
			return s[:i] + end
		}
	}
	return s // not reached: it has more than limit characters
}
