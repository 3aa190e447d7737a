package boltstore

import (
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Stats are figures of a store at a moment. The figures of different parts may be of slightly
// different moments.
type Stats struct {
	Writer WriterStats
	Index  IndexStats
	Tail   TailStats
	File   FileStats
}

// WriterStats count what the writer has done since Open, and what waits for it.
type WriterStats struct {
	// Transactions is the number of transactions, also of those that failed. They appended
	// Appended commits with Events events, whose records have Bytes bytes in all. Syncing
	// is the time that the transactions took.
	Transactions, Appended, Events, Bytes uint64
	Syncing                               time.Duration
	// Failed is the number of transactions that failed. All commits in them failed too.
	Failed uint64
	// Waiting is the number of calls that wait for the writer now, and WaitingBytes the
	// bytes that they want to write.
	Waiting, WaitingBytes int
}

// IndexStats describe the index.
type IndexStats struct {
	// Down is true if the index cannot be used now; queries read the log instead.
	Down bool
	// Through is the last position that is in the index on disk, which has Parts parts
	// with Postings postings. Later events are in the index's memory only; after a crash,
	// Open reads them from the log again.
	Through  eventstore.Position
	Parts    int
	Postings uint64
	// Memory is about the size of the postings in memory, and Filters that of the filters,
	// in bytes.
	Memory, Filters int
}

// TailStats describe the latest events, which are held in memory for followers.
type TailStats struct {
	// Head is the highest durable position.
	Head eventstore.Position
	// Events is the number of events in memory, counting at least one for each
	// transaction, and Bytes is the size of their records.
	Events, Bytes int
}

// FileStats describe the file.
type FileStats struct {
	// Size is the size of the file in bytes. Free of them are in unused pages, which are
	// used before the file grows.
	Size, Free int64
	// Reading is the number of open read transactions.
	Reading int
}

// counters count what the writer does.
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

// Stats returns the store's figures. It is cheap. On a closed store it returns the last
// figures.
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
	db := s.db.Bolt().Stats()
	if info, err := s.file.OS.Stat(); err == nil {
		st.File.Size = info.Size()
	}
	st.File.Free = int64(db.FreePageN+db.PendingPageN) * int64(s.file.Found.PageSize)
	st.File.Reading = db.OpenTxN
	return st
}
