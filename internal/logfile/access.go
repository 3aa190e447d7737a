package logfile

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// Access reads an open file.
type Access struct {
	// Usable returns the error with which a read must end, such as that of the context,
	// or nil.
	Usable func(context.Context) error
	// ReadTx runs a function in a read transaction.
	ReadTx func(func(*bolt.Tx) error) error
}
