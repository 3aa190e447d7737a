// Package viewfile is how the rows and checkpoints of views lie in the file of a log.
//
// The rows of a view lie in layers: its own bucket, and over it the changes that the
// last groups have left ([Layers], layers.go says why). A [Cursor] merges them in key
// order; [Get] and [Scan] read them; [Change] and [Drop] write them. A [Tally] counts
// them, so that a missing row shows. Each row and checkpoint ends in a checksum that
// covers its place (rowformat.go).
//
// Every function works in a transaction of its caller's. None starts a goroutine.
package viewfile
