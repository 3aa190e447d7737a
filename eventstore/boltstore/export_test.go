package boltstore

import bolt "go.etcd.io/bbolt"

// SetCommit makes the writer end its transactions with commit instead of
// bbolt's own. Call it before the first append.
func (s *Store) SetCommit(commit func(*bolt.Tx) error) { s.commitTx = commit }

// SetMaxSize makes the file unable to grow beyond so many bytes, as on a full disk.
func (s *Store) SetMaxSize(bytes int) { s.db.MaxSize = bytes }

// TailEvents is how many events the tail keeps.
const TailEvents = tailEvents

// Waiting returns how many requests are in the writer's queue.
func (s *Store) Waiting() int { return len(s.queue) }
