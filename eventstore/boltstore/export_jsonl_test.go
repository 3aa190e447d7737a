package boltstore

import "github.com/yore-es/yore/internal/record"

// ParseLine and AppendLine are the two directions of the line format.
func ParseLine(line []byte) (record.Record, error)            { return parseLine(line) }
func AppendLine(dst []byte, r *record.Record) ([]byte, error) { return appendLine(dst, r) }

// MaxLine is how long a line may be in a store with the standard limits.
func (s *Store) MaxLine() int { return maxLine(s.info.Limits) }
