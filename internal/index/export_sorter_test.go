package index

import "os"

// Scratch returns the scratch file, or nil.
func (s *Sorter) Scratch() *os.File { return s.file }
