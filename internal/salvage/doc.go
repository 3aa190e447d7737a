// Package salvage makes a new log of what is whole in a damaged one. [Run] follows the
// damaged file's own tree of pages as far as it leads, and looks at every page for the
// positions that this leaves open. It reads the file without bbolt, which trusts what
// it reads.
package salvage
