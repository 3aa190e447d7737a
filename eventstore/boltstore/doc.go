// Package boltstore is the event log in one bbolt file.
//
//	store, err := boltstore.Open("shop.yore", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// A [Store] implements [eventstore.Store] with gapless positions. When Append returns a nil
// error, the events have been written and synced. Only one Store has the file open for
// writing at a time; a second opener gets ErrLocked.
//
// A new file has a few pages: 24,576 bytes with pages of 4 KiB. When it needs more space it
// grows by 16 MiB, which are a hole until they are used. On Windows and on 32-bit systems
// it doubles instead until it has that size.
//
// # How it works
//
// The log is one bucket from position to record, written in order. A record ends in a
// CRC32C, so every reader detects damage. An inverted index finds the records of a stream,
// category, type, tag or key. Its part for the latest events is in memory; it is written to
// the file later, in sorted runs. The index is derived: Open reads the events again that it
// lacks, and rebuilds it if it is missing or damaged.
//
// An append has two parts. The caller's goroutine validates the commit, judges its
// conditions against the durable log, and encodes its records. Then one writer at a time
// takes all waiting commits as one group, judges them against the events since, in memory,
// and makes the group durable in one transaction. So concurrent callers share the two disk
// syncs that a transaction costs, and a lone caller does not wait.
//
// Readers see no event before it is durable. They read in pages, each in a short
// transaction that has ended before its events are yielded, so a slow loop neither blocks
// the writer nor makes the file grow. Followers at the head read from memory and are woken
// by the writer; nothing polls.
//
// A Store is a RowStore too: read models are in the same file, and the rows of an attached
// view are written in the transaction of the events. The view's code runs on a goroutine of
// its own before that transaction is opened, under a deadline, and cannot prevent an
// append. The store caches up to 16 MiB of the rows of each attached view.
//
// # When things go wrong
//
// A full disk or a failed write fails the appends in that transaction, and no others. If it
// is not known whether a transaction will survive, its appends return ErrUnknownOutcome,
// and later ones ErrFailed, until the store has been closed and opened again. Events can
// still be read then; reading rows may return ErrFailed too. A damaged record is reported
// as a [*eventstore.CorruptError] with its position; all others can be read. Info().Warnings
// lists what Open has found and repaired.
//
// A file that is removed, renamed or replaced while it is open takes no more appends. It
// can still be read: back it up before the Store is closed, since closing a removed file
// loses it.
//
// A file that another program truncates or overwrites while it is open is not read or
// written any more: all calls that need it return ErrFailed. Close gives up the lock.
//
// A limit of address space (ulimit -v) is like a full disk: an append that needs a larger
// map fails with ENOMEM, and reads go on.
//
// After a failed sync there is a note beside the file, "NAME.doubt". The next Open for
// writing repairs the file and removes the note.
//
// # For operators
//
// [Store.Verify] finds damage. [Store.Backup] and [Restore] keep a copy. [Store.Export] and
// [Import] write and read JSON Lines. [Compact] makes a file smaller, [Reindex] rebuilds
// everything that is derived from the events, and [Salvage] saves the whole events of a
// damaged file.
package boltstore
