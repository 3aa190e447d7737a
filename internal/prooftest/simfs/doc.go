// Package simfs is a disk that remembers everything that was done to it, and
// can say what may be left of it after a power loss at any moment.
//
// A [Mounted] is a FUSE file system. Each [Recorder] on it is a directory, taken
// as a disk of its own, that keeps a [Trace]: every write, truncation, sync and
// change of a name, in the order in which they took effect, and between them the
// marks of the workload, so that what was acknowledged is ordered exactly with
// the I/O. A Recorder can also make calls fail ([Fault]), and hold one
// ([Recorder.Block]). Traces may come from elsewhere as well: [Explore] needs
// nothing but the trace.
//
// # The model
//
// After a power loss the disk has all that was synced, and of what was not, any
// part:
//
//   - each write is there, or not, or torn: any of its units of 8, 512 or 4,096
//     bytes are there, and the others are as before, or garbage, even where
//     the bytes were the same before;
//   - each truncation is there or not;
//   - each change of a name is there or not, until its directory is synced; the
//     sync of a file does not make its name durable.
//
// Nothing is ordered but by syncs. A sync that failed has made nothing durable,
// and a later one that succeeds does not make durable what was pending then:
// Linux takes pages that it could not write for clean. A write that failed may be
// on the disk or not, and can be seen through the page cache.
//
// What was synced is never damaged; that is the business of other proofs.
package simfs
