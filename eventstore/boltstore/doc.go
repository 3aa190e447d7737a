// Package boltstore is the event log in one bbolt file.
//
//	store, err := boltstore.Open("shop.yore", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// A [Store] keeps the contract of [eventstore.Store], with gapless positions,
// and a nil error of Append means that the events have been written and synced.
// One process has the file open for writing at a time; a second opener gets
// ErrLocked.
//
// A new file has a few pages: 24,576 bytes, where they are of 4 KiB. When it first
// needs more, and whenever that is used up, it grows by 16 MiB, which are holes until
// they are used. On Windows and with 32 bits it doubles until it has that size.
//
// # How it works
//
// The log is one bucket, position to record, written in order; a record is
// drawn byte by byte in internal/record and ends in a CRC32C, so that damage is
// found by whoever reads it. An inverted index (internal/index) finds the
// records of a stream, category, type, tag or key. What it knows of the latest
// events is in memory; it is written behind the log, in sorted runs. It is
// derived: Open reads again what it lacks, and rebuilds it when it is missing.
//
// Appending is in two parts. The caller's goroutine validates the commit,
// judges its conditions against the durable log, and encodes its records; then
// one writer at a time takes all commits that are waiting as one group, judges
// them against what came since, from memory, and makes the group durable in one
// transaction. So many callers share the two disk syncs that a transaction
// costs; a lone caller waits for nobody.
//
// Readers see no event before it is durable. They read in pages, each a short
// transaction that has ended before any of its events is handed out, so a slow
// loop neither blocks the writer nor makes the file grow. Followers at the head
// are served from memory and woken by the writer; nothing polls.
//
// A Store is a RowStore too: read models lie in the same file, and a view that is
// attached is written in the transaction of the events. Its code runs on a
// goroutine of its own before that transaction is opened, under a deadline, and
// cannot keep an event from being appended. Of its rows the store remembers up to
// 16 MiB.
//
// # When things go wrong
//
// A full disk or a failed write fails the appends it hits, and only those. If it
// cannot be known whether a transaction will survive, its appends return
// ErrUnknownOutcome, and later ones ErrFailed, until the store has been closed
// and opened again; reading events goes on, reading rows may return ErrFailed
// too. Damaged records are reported as
// [*eventstore.CorruptError] with their position; everything else stays readable.
// What Open found and mended is in Info().Warnings.
//
// A file that is removed, renamed or replaced while it is open takes no more
// appends. It can still be read: back it up before the Store is closed, for that lets
// go of a file which has no name any more.
//
// After a sync that failed there is a note beside the file, "NAME.doubt": the next
// Open for writing sees to what it tells of, and removes it.
//
// # For operators
//
// [Store.Verify] looks for damage, [Store.Backup] and [Restore] keep a copy,
// [Store.Export] and [Import] speak JSON Lines; [Compact] makes a file smaller,
// [Reindex] makes all that is derived anew, and [Salvage] saves what can be read
// of a damaged file.
package boltstore
