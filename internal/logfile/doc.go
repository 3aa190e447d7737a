// Package logfile is the lowest floor of boltstore: the file of a log, and the records
// in it.
//
// [Open] opens and locks a [File] and its [DB], checks the pages that have no checksum, and
// makes durable what a killed process may have left in the page cache. [Protect] runs code
// that reads or writes the file through bbolt, and turns bbolt's panics on damaged pages
// into errors. A transaction of DB ends also if another program truncates the file;
// [File.InPlace], [File.Follows] and [File.See] notice it. buckets.go names the buckets;
// format.go reads and writes the file's description of itself.
//
// A [Writer] puts records into the log and packs them; a [Reader] finds them by
// position. [CopyRecords] copies them out in a [Page] per short transaction. A
// [Sequence] checks that records may follow each other. [ReadAhead] reads the file ahead
// of a scan.
//
// The package knows nothing of views, of the engine or of the index's content.
package logfile
