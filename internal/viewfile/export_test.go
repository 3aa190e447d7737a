package viewfile

// Exported for the tests that damage files.
var (
	ReadTally = readTally
	SealTally = sealTally
	SealRow   = sealRow
	Layers    = layersOf
)
