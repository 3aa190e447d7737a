// Package index finds the positions of events by what is known of them. It is
// derived from the log: dropped, it is rebuilt from the records, and nothing is
// lost but time.
//
// It is one inverted index in one bucket: a term (a stream, a category, a type,
// a tag, a commit's key) has a posting for each event it stands on. A posting is
// a key of the bucket, so that the postings of a term lie side by side in
// position order:
//
//	kind (1 byte) | name | 0x00 | position (8 bytes, big-endian)
//
// Names hold no NUL, so no name's postings run into another's. The value of a
// stream's posting is the event's version (8 bytes, big-endian), which makes the
// last posting of a stream its head; other values are empty. One key that is no
// posting, the single byte 0x00, holds the position through which the log is
// indexed (8 bytes) and the format of the index (4 bytes). Every value is
// followed by a CRC32C over its key and itself.
//
// A reader that meets a damaged posting says that the index cannot be used
// ([ErrUnusable]), and so does one of an index that does not reach as far as the
// log. What it would have told is in the log.
//
// A query becomes a tree of walkers: a posting list at the leaves, unions where
// the query says or, intersections where it says and. A walker seeks: given a
// position it returns the next match from there on, forward or backward. An
// intersection lets its parts leap over each other's gaps, so that its cost is
// that of its rarest part and not of its commonest.
//
// The writer adds postings in the transaction that appends the events, so a
// reader sees both or neither.
package index
