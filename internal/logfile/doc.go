// Package logfile is the lowest floor of boltstore: the file of a log, and the log's
// records in it.
//
// A [File] is opened and locked by [Open], which checks the pages that have no
// checksum and makes durable what a killed process has left in the page cache.
// [Protect] runs what reads or writes the file through bbolt, and turns bbolt's panics
// on damaged pages into errors. buckets.go names the buckets; format.go is what the
// file says of itself.
//
// A [Writer] puts records into the log and packs them; a [Reader] finds them by
// position; [CopyRecords] and [Page] copy them out, a short transaction a page;
// a [Sequence] holds them to what may follow what. [ReadAhead] reads the file ahead of
// a scan.
//
// The package knows nothing of views, of the writer or of the index's content.
package logfile
