// Package viewfile stores the rows and checkpoints of views in the file of a log.
//
// The rows of a view lie in layers: its own bucket, and over it the changes of the latest
// groups (its layers; layers.go says why). [Get] and [Scan] read rows, with a [Cursor] that
// merges the layers in key order; [Change] and [Drop] write them. A [Tally] counts the
// rows, so that a missing one is noticed. Each row and checkpoint ends in a checksum that
// covers its place (rowformat.go), and neighbours.go proves that a row is absent.
//
// Every function works in a transaction of its caller. None starts a goroutine.
package viewfile
