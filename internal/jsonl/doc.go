// Package jsonl is the format of exports: one line of JSON per event.
//
// [AppendLine] writes the line of a record and [ParseLine] reads it; a record that is
// written and read again is the same, byte for byte. A [Reader] reads lines of bounded
// length. docs/reference/export-format.md describes the fields.
package jsonl
