// Package prose has no code. Its test reads the comments of all Go files of the
// tree, tests included, and the pages, and reports words and turns that plain
// technical English does without: a goroutine or a caller spoken of as a person,
// inverted and archaic turns. The decision records under docs/adr, which are never
// edited, are not read.
package prose
