package boltstore

// OpenTransactions returns how many read transactions are open.
func (s *Store) OpenTransactions() int { return s.db.Stats().OpenTxN }
