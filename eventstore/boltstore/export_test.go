package boltstore

import (
	bolt "go.etcd.io/bbolt"
)

// SetCommit makes the writer end its transactions with commit instead of bbolt's Commit. No
// append may be under way.
func (s *Store) SetCommit(commit func(*bolt.Tx) error) { s.commitTx = commit }

// SetMaxSize keeps the file from growing beyond the given size, as on a full disk.
func (s *Store) SetMaxSize(bytes int) { s.db.Bolt().MaxSize = bytes }

// TailEvents is the number of events that the tail keeps.
const TailEvents = tailEvents

// Waiting returns the number of jobs in the writer's queue.
func (s *Store) Waiting() int {
	jobs, _ := s.writer.queue.load()
	return jobs
}

// OpenWithoutIndexer opens a store whose index is written only by WriteIndex.
func OpenWithoutIndexer(path string, o Options) (*Store, error) {
	o.alone = true
	return Open(path, &o)
}

// WriteIndex does what the indexer does when it is woken.
func (s *Store) WriteIndex() error {
	x := s.index.current.Load()
	err := x.Maintain(indexFile{s.index, x})
	s.index.room.open()
	return err
}
