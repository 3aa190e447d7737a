// Package index finds the positions of events by what is known of them. It is
// derived from the log: dropped, it is rebuilt from the records, and nothing is
// lost but time.
//
// It is one inverted index: a term (a stream, a category, a type, a tag, a
// commit's key) has a list of postings, the positions of the events that it stands
// on, in order. In a stream's list each has the event's version, so that the last
// posting of a stream is its head.
//
// An [Index] is made of parts, each of which has the postings of a range of
// positions. The latest are tables, in memory (table.go). The others are runs, on
// disk (run.go, block.go), which are sorted by term and never change. How tables
// become runs, and small runs large ones, is told in maintain.go. Since the parts
// follow each other, so do the lists that they have of a term, and whoever looks
// for what came after a position asks the last parts only.
//
// A query becomes a tree of walkers over each part in turn (walk.go): a list at
// the leaves, unions where the query says or, intersections where it says and. A
// walker seeks: given a position it returns the next match from there on, forward
// or backward. An intersection lets its parts leap over each other's gaps, so that
// its cost is that of its rarest part and not of its commonest.
//
// A reader that meets damage says that the index cannot be used ([ErrUnusable]),
// and so does one of an index that does not reach as far as the log. What it would
// have told is in the log.
//
// The file format is described in docs/reference/format.md.
package index
