package logfile

import (
	"context"

	"github.com/yore-es/yore/internal/pages"
)

// Access reads an open file.
type Access struct {
	// Usable returns the error with which a read must end, such as that of the context,
	// or nil.
	Usable func(context.Context) error
	// ReadTx runs a function in a read transaction.
	ReadTx func(func(*pages.Tx) error) error
}
