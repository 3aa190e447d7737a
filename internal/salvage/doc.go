// Package salvage makes a new log from the whole records of a damaged one. [Run] follows
// the damaged file's own tree of pages as far as it leads, and scans every page for the
// positions that the tree does not lead to. It reads the file without bbolt, which trusts
// what it reads.
package salvage
