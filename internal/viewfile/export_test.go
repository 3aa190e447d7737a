package viewfile

// Exported for the tests that damage files.
var (
	SealTally = sealTally
	SealRow   = sealRow
)

// Tally returns the tally of the view's rows.
func (s *State) Tally() Tally { return s.tally }

// Layers returns the layers of the view's rows, the newest first.
func (s *State) Layers() []Layer { return s.layers }
