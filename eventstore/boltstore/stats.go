package boltstore

import (
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Stats are figures of a store at a moment. Those of different parts may be a
// little apart.
type Stats struct {
	Writer WriterStats
	Index  IndexStats
	Tail   TailStats
	File   FileStats
}

// WriterStats tell what the writer has done since Open, and what waits for it.
type WriterStats struct {
	// Transactions is how many were written, and Syncing is the time that they
	// took. Of the commits that came, Appended were in them, with so many Events
	// of so many Bytes; their number by transaction is how large groups were.
	Transactions, Appended, Events, Bytes uint64
	Syncing                               time.Duration
	// Failed is how many transactions failed, all commits in them with them.
	Failed uint64
	// Waiting is how many calls wait for the writer now, and WaitingBytes how
	// many bytes of theirs.
	Waiting, WaitingBytes int
}

// IndexStats tell of the index.
type IndexStats struct {
	// Down says that the index cannot be used now; the log is read instead.
	Down bool
	// Through is the position through which the index is on disk, in so many
	// Parts with so many Postings. What is beyond is in memory only, and after a
	// crash is read from the log again.
	Through  eventstore.Position
	Parts    int
	Postings uint64
	// Memory is about how many bytes of postings, and Filters how many bytes of
	// filters, are in memory.
	Memory, Filters int
}

// TailStats tell of the latest events, which are held in memory for followers.
type TailStats struct {
	Head          eventstore.Position
	Events, Bytes int
}

// FileStats tell of the file.
type FileStats struct {
	// Size is that of the file in bytes, of which so many are Free: they will be
	// used before the file grows.
	Size, Free int64
	// Reading is how many read transactions are open.
	Reading int
}

// counters are what the writer counts.
type counters struct {
	transactions, failed, appended, events, bytes, syncing atomic.Uint64
}

// count counts a transaction.
func (c *counters) count(g *group, took time.Duration, err error) {
	c.transactions.Add(1)
	c.syncing.Add(uint64(took))
	if err != nil {
		c.failed.Add(1)
		return
	}
	c.appended.Add(uint64(len(g.commits)))
	c.events.Add(uint64(len(g.entries)))
	c.bytes.Add(uint64(g.bytes))
}

// Stats returns the store's figures. It costs little and may be called often; on a
// closed store they are the last ones.
func (s *Store) Stats() Stats {
	var st Stats
	st.Writer = WriterStats{
		Transactions: s.writer.counters.transactions.Load(),
		Failed:       s.writer.counters.failed.Load(),
		Appended:     s.writer.counters.appended.Load(),
		Events:       s.writer.counters.events.Load(),
		Bytes:        s.writer.counters.bytes.Load(),
		Syncing:      time.Duration(s.writer.counters.syncing.Load()),
	}
	st.Writer.Waiting, st.Writer.WaitingBytes = s.writer.queue.load()
	st.Index.Down = s.index.down.Load()
	if x := s.index.current.Load(); x != nil {
		i := x.Stats()
		st.Index.Through, st.Index.Parts, st.Index.Postings = i.Through, i.Runs, i.Postings
		st.Index.Memory, st.Index.Filters = i.Memory, i.Filters
	}
	st.Tail = s.tail.stats()
	db := s.db.Stats()
	if info, err := s.file.OS.Stat(); err == nil {
		st.File.Size = info.Size()
	}
	st.File.Free = int64(db.FreePageN+db.PendingPageN) * int64(s.file.Found.PageSize)
	st.File.Reading = db.OpenTxN
	return st
}
