// Package index finds the positions of events by stream, category, type, tag and
// commit key. The index is derived from the log: it can be dropped and rebuilt
// from the records.
//
// # Problem
//
// A query must be answered without a scan of the log, while the log is appended
// to. An event has about five terms: its stream, its category, its type, its tags,
// its commit's key. The obvious index, a key of the B+tree for each term of each
// event, writes a page at a random place of the tree for each of them. With a
// million streams that is five page writes for an event of 400 bytes, and appends
// run at a fraction of the log's speed.
//
// So the index is one inverted index: a term has a list of postings, which are the
// positions of the events that have the term, in order. In a stream's list a
// posting also holds the event's version, so that the last posting of a stream is
// its head. The lists are kept in segments, as in a log-structured merge tree.
//
// # Invariants
//
//  1. Each segment covers a range of positions. The ranges follow each other
//     without gaps from position 1 on. So a term's list is its lists in the
//     segments, one after the other, and a search after a position reads only the
//     segments that reach beyond it.
//  2. The last segments are tables, in memory. All others are runs, on disk, which
//     are sorted by term and position and never change.
//  3. A run is part of the index if and only if the status, the bucket's first key,
//     lists it. The status that lists a new run is written in one transaction with
//     the last of the run's keys.
//  4. The blocks of a run cover all terms and positions. A block's key says where it
//     begins and its checksummed value says where the next one begins. So the block
//     that a search ends at either covers the place that was searched for or shows
//     damage: absence needs no other proof.
//  5. A wrong answer is never returned. A reader that meets damage, or an index
//     that ends before the reader's last position, reports [ErrUnusable]; the
//     caller then searches the log.
//  6. A reader does not look beyond its last position, so it does not see the
//     postings of events that are not durable yet.
//
// # Steps
//
// The goroutine that writes the log adds the postings of each group to the last
// table ([Index.Add]). When the table is full it begins the next one
// ([Index.Freeze]). Another goroutine maintains the index ([Index.Maintain]): it
// sorts a frozen table into a run, merges eight runs of about the same size that
// lie side by side into one, and deletes runs that were merged. It writes all this
// in slices of bounded size, each in a transaction that the log is written with
// anyway (maintain.go).
//
// So each posting is written a few times for a log of any length, always next to
// its neighbours. A crash at any moment leaves the index as the status lists it.
// [Open] returns that index, and the caller adds the events of the log that it
// lacks. Blocks of a run that the status does not list are deleted later.
//
// A query becomes a tree of walkers over each segment in turn (walk.go): a list at
// the leaves, unions where the query says or, intersections where it says and. A
// walker seeks: given a position it returns the next match from there on, forward
// or backward. An intersection lets its parts leap over each other's gaps, so its
// cost is that of its rarest part.
//
// # Rejected
//
//   - A key for each posting, in the transaction of its event: simple, and slow for
//     the reason above.
//   - A B+tree that is written later: each term still costs a page.
//   - Runs in files of their own: two files cannot be committed, copied or checked
//     together.
//   - No merging: a search would ask hundreds of runs in a log of a billion events.
//   - A table that is a Go map of slices: the garbage collector would follow half a
//     million pointers. A table is a few large slices without pointers (table.go).
//
// The file format is described in docs/reference/format.md.
package index
