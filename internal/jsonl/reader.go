package jsonl

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader takes JSON values from the front of a text in UTF-8. Unlike encoding/json it
// compares names exactly, replaces nothing, and can return a value unparsed. It takes memory
// for a string only up to the limit that the caller gives.
type jsonReader struct{ rest []byte }

// shortText bounds, in bytes, a text that is a field's name, a number, a time or an id.
const shortText = 64

var errJSON = errors.New("it is not JSON")

// object takes an object. It calls field with each name, of at most limit bytes, and field
// takes the value.
func (r *jsonReader) object(limit int, field func(name string) error) error {
	return r.list('{', '}', func() error {
		name, err := r.text("a name", limit)
		if err != nil {
			return err
		}
		if !r.take(':') {
			return errJSON
		}
		return field(name)
	})
}

// array takes an array. It calls element to take each value.
func (r *jsonReader) array(element func() error) error { return r.list('[', ']', element) }

func (r *jsonReader) list(begin, end byte, element func() error) error {
	if !r.take(begin) {
		return fmt.Errorf("%w: %q is missing", errJSON, begin)
	}
	if r.take(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if r.take(end) {
			return nil
		}
		if !r.take(',') {
			return fmt.Errorf("%w: no comma and no %q", errJSON, end)
		}
	}
}

// end returns an error if anything but spaces is left.
func (r *jsonReader) end() error {
	if r.space(); len(r.rest) > 0 {
		return fmt.Errorf("%w: something follows its end", errJSON)
	}
	return nil
}

// number takes an integer from 0 to limit.
func (r *jsonReader) number(limit uint64) (uint64, error) {
	r.space()
	n := 0
	for n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9' {
		n++
	}
	digits := string(r.rest[:min(n, shortText)]) // more are too large a number
	value, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || value > limit || n > 1 && digits[0] == '0' {
		return 0, fmt.Errorf("not an integer from 0 to %d", limit)
	}
	r.rest = r.rest[n:]
	return value, nil
}

// text takes a string of at most limit bytes. what names it in the error for a longer one.
func (r *jsonReader) text(what string, limit int) (string, error) {
	if !r.take('"') {
		return "", errors.New("not a string")
	}
	for i, c := range r.rest {
		switch {
		case c == '"':
			s := string(r.rest[:i])
			r.rest = r.rest[i+1:]
			return s, nil
		case i == limit:
			return "", tooLong(what, limit)
		case c == '\\':
			return r.escapedText(i, what, limit)
		case c < ' ':
			return "", fmt.Errorf("%w: a control character in a string", errJSON)
		}
	}
	return "", fmt.Errorf("%w: a string does not end", errJSON)
}

// sizeError says that something has more bytes than an event may have.
type sizeError struct {
	what  string
	limit int
}

func (e *sizeError) Error() string { return fmt.Sprintf("%s has more than %d bytes", e.what, e.limit) }

func tooLong(what string, limit int) error { return &sizeError{what, limit} }

// escapedText takes the rest of a string whose first n bytes have no escape.
func (r *jsonReader) escapedText(n int, what string, limit int) (string, error) {
	var s strings.Builder
	for {
		if s.Len()+n > limit {
			return "", tooLong(what, limit)
		}
		s.Write(r.rest[:n])
		r.rest = r.rest[n:]
		if len(r.rest) == 0 {
			return "", fmt.Errorf("%w: a string does not end", errJSON)
		}
		switch c := r.rest[0]; {
		case c == '"':
			r.rest = r.rest[1:]
			return s.String(), nil
		case c < ' ':
			return "", fmt.Errorf("%w: a control character in a string", errJSON)
		case c == '\\':
			char, err := r.escape()
			if err != nil {
				return "", err
			}
			s.WriteRune(char)
			n = 0
		default:
			n = 1
			for n < len(r.rest) && r.rest[n] != '"' && r.rest[n] != '\\' && r.rest[n] >= ' ' {
				n++
			}
		}
	}
}

// escape takes an escape sequence. It refuses half of a surrogate pair, which is not a
// character and would be lost.
func (r *jsonReader) escape() (rune, error) {
	if len(r.rest) >= 2 {
		if i := strings.IndexByte(`"\/bfnrt`, r.rest[1]); i >= 0 {
			r.rest = r.rest[2:]
			return rune("\"\\/\b\f\n\r\t"[i]), nil
		}
	}
	char, ok := r.unicode()
	if ok && utf16.IsSurrogate(char) {
		low, lowOK := r.unicode()
		char, ok = utf16.DecodeRune(char, low), lowOK
		ok = ok && char != utf8.RuneError
	}
	if !ok {
		return 0, fmt.Errorf("%w: an invalid escape", errJSON)
	}
	return char, nil
}

// unicode takes \u and four hexadecimal digits.
func (r *jsonReader) unicode() (rune, bool) {
	if len(r.rest) < 6 || r.rest[0] != '\\' || r.rest[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.rest[2:6]), 16, 32)
	r.rest = r.rest[6:]
	return rune(n), err == nil
}

// value takes any value of at most limit bytes and returns it unparsed, as a part of the
// text.
func (r *jsonReader) value(what string, limit int) ([]byte, error) {
	r.space()
	n := valueEnd(r.rest[:min(len(r.rest), limit+1)])
	if n > limit {
		return nil, tooLong(what, limit)
	}
	v := r.rest[:n:n]
	if !json.Valid(v) {
		return nil, errJSON
	}
	r.rest = r.rest[n:]
	return v, nil
}

// valueEnd returns the length of the value at the front of b, if it is a valid one.
func valueEnd(b []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
			if !inString && depth == 0 {
				return i + 1
			}
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c <= ' '):
			return i
		}
	}
	return len(b)
}

// take skips spaces and takes the next byte if it is c. It reports whether it did.
func (r *jsonReader) take(c byte) bool {
	if r.space(); len(r.rest) > 0 && r.rest[0] == c {
		r.rest = r.rest[1:]
		return true
	}
	return false
}

func (r *jsonReader) space() {
	for len(r.rest) > 0 && strings.IndexByte(" \t\r\n", r.rest[0]) >= 0 {
		r.rest = r.rest[1:]
	}
}
