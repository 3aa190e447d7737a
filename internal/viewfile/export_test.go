package viewfile

// What the tests of damage write by themselves.
var (
	ReadTally = readTally
	SealTally = sealTally
	SealRow   = sealRow
	Layers    = layersOf
)
