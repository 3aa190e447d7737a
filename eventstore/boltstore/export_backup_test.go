package boltstore

// OpenTransactions returns the number of open read transactions.
func (s *Store) OpenTransactions() int { return s.db.Bolt().Stats().OpenTxN }
