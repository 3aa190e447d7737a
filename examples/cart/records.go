package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// maxRecord is the limit of a record of a CSV file, in bytes. It bounds the memory that a line
// takes, and the search for the end of a quote that is never closed.
const maxRecord = 64 << 10

// csvRecords returns the records of a CSV file. Unlike a [csv.Reader] it continues after a
// malformed record at the next line, so a quote that is not closed spoils only its own
// line.
type csvRecords struct {
	rest   []byte
	line   int           // of the file, where rest begins
	source *bufio.Reader // of records with quotes
}

func newCSVRecords(data []byte) *csvRecords {
	return &csvRecords{
		rest: bytes.TrimPrefix(data, []byte("\ufeff")), line: 1, source: bufio.NewReader(bytes.NewReader(nil)),
	}
}

// next returns the fields of the next record and the line on which it begins. For a
// malformed record it returns the fault and no fields. It skips empty lines. At the end of
// the file ok is false.
func (r *csvRecords) next() (fields []string, line int, fault string, ok bool) {
	for len(r.rest) > 0 {
		line = r.line
		first := lineEnd(r.rest)
		if isEmpty(r.rest[:first]) {
			r.skip(first)
			continue
		}
		if first > maxRecord {
			r.skip(first)
			return nil, line, fmt.Sprintf("%d bytes, more than %d", first, maxRecord), true
		}
		if !bytes.ContainsRune(r.rest[:first], '"') { // as most lines are
			text := string(trimEnd(r.rest[:first]))
			r.skip(first)
			return strings.Split(text, ","), line, "", true
		}
		size := recordSize(r.rest)
		r.source.Reset(bytes.NewReader(r.rest[:size]))
		fields, err := csv.NewReader(r.source).Read()
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

// recordSize returns the size of the first record of data, in bytes. The record ends with
// the first line after which the number of quotes is even. If there is none within
// maxRecord, the record is the first line, and malformed.
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

// lineEnd returns the size of the first line in bytes, line end included.
func lineEnd(data []byte) int {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1
	}
	return len(data)
}

// isEmpty reports whether a line has nothing but its end.
func isEmpty(line []byte) bool { return len(trimEnd(line)) == 0 }

// trimEnd returns a line without its end.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// quoteFault returns the text of an error of a csv.Reader without its line number.
func quoteFault(err error) string {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	return strings.TrimPrefix(err.Error(), "parse error: ")
}
