// Package simfs is a disk that records all operations, and computes what may be left
// of it after a power loss at any moment.
//
// A [Mounted] is a FUSE file system. Each [Recorder] on it is a directory that
// stands for a disk and keeps a [Trace]: every write, truncation, sync and change of
// a name, in the order in which they took effect, and between them the marks of the
// workload, so that acknowledgements are ordered exactly with the I/O. A Recorder
// can also make calls fail ([Fault]), and hold a call ([Recorder.Block]). Traces may
// come from elsewhere: [Explore] needs only the trace.
//
// # The model
//
// After a power loss the disk has everything that was synced, and any part of the
// rest:
//
//   - each write is there, or not, or torn: any of its units of 8, 512 or 4,096
//     bytes are there, and the others are as before, or garbage, even where
//     the bytes were the same before;
//   - each truncation is there or not;
//   - each change of a name is there or not, until its directory is synced; the
//     sync of a file does not make its name durable.
//
// Only syncs order operations. A failed sync makes nothing durable, and a later
// successful sync does not make durable what was pending at the failed one: Linux
// marks pages clean that it could not write. A failed write may be on the disk or
// not, and can be seen through the page cache.
//
// Synced data is never damaged; other proofs damage it.
package simfs
