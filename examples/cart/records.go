package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
)

// maxRecord is the most bytes that one record of a CSV file may have. It bounds
// how far a quote that is never closed is looked for.
const maxRecord = 64 << 10

// csvRecords hands out the records of a CSV file. Unlike a [csv.Reader] it goes
// on after a record with wrong quotes at the very next line: a quote that is not
// closed costs its own line and not all that follow.
type csvRecords struct {
	rest []byte
	line int // of the file, where rest begins
}

func newCSVRecords(data []byte) *csvRecords {
	return &csvRecords{rest: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1}
}

// next returns the fields of the next record and the line on which it begins, or
// for a malformed one why it is. At the end of the file, ok is false. Empty
// lines are passed over.
func (r *csvRecords) next() (fields []string, line int, fault string, ok bool) {
	for len(r.rest) > 0 {
		line = r.line
		first := lineEnd(r.rest)
		if isEmpty(r.rest[:first]) {
			r.skip(first)
			continue
		}
		size := recordSize(r.rest)
		fields, err := csv.NewReader(bytes.NewReader(r.rest[:size])).Read()
		if err != nil {
			r.skip(first)
			return nil, line, quoteFault(err), true
		}
		r.skip(size)
		return fields, line, "", true
	}
	return nil, r.line, "", false
}

func (r *csvRecords) skip(size int) {
	r.line += bytes.Count(r.rest[:size], []byte("\n"))
	r.rest = r.rest[size:]
}

// recordSize returns the bytes of the record that data begins with: lines up to
// the first at whose end every quote is closed, which is where their number is
// even. If no such line is near, the record is the first line, and wrong.
func recordSize(data []byte) int {
	quotes := 0
	for size := 0; size < len(data) && size <= maxRecord; {
		end := size + lineEnd(data[size:])
		quotes += bytes.Count(data[size:end], []byte(`"`))
		size = end
		if quotes%2 == 0 {
			return size
		}
	}
	return lineEnd(data)
}

// lineEnd returns how many bytes the first line has, with what ends it.
func lineEnd(data []byte) int {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1
	}
	return len(data)
}

// isEmpty reports whether a line has nothing but its end.
func isEmpty(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte("\n"))
	return len(bytes.TrimSuffix(line, []byte("\r"))) == 0
}

// quoteFault says what a csv.Reader found, without its own count of lines.
func quoteFault(err error) string {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	return strings.TrimPrefix(err.Error(), "parse error: ")
}
