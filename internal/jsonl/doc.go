// Package jsonl is the format of exports: an event as a line of JSON, and back.
//
// [AppendLine] writes the line of a record and [ParseLine] reads it; what comes out is
// what went in, byte for byte. A [Reader] reads lines of bounded length.
// docs/reference/export-format.md describes the fields.
package jsonl
