package boltstore

import (
	bolt "go.etcd.io/bbolt"
)

// SetCommit makes the writer end its transactions with commit instead of
// bbolt's own. Call it before the first append.
func (s *Store) SetCommit(commit func(*bolt.Tx) error) { s.commitTx = commit }

// SetMaxSize makes the file unable to grow beyond so many bytes, as on a full disk.
func (s *Store) SetMaxSize(bytes int) { s.db.MaxSize = bytes }

// TailEvents is how many events the tail keeps.
const TailEvents = tailEvents

// Waiting returns how many requests are in the writer's queue.
func (s *Store) Waiting() int { return int(s.writer.queue.jobs.Load()) }

// OpenWithoutIndexer opens a store whose index is written only by WriteIndex.
func OpenWithoutIndexer(path string, o Options) (*Store, error) {
	o.alone = true
	return Open(path, &o)
}

// WriteIndex does what the indexer does when it is told that there is something to
// do.
func (s *Store) WriteIndex() error {
	x := s.index.current.Load()
	err := x.Maintain(indexFile{s.index, x})
	s.index.room.open()
	return err
}
