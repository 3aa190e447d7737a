package boltstore

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Options say how to open a store. Nil and zero values mean the defaults.
type Options struct {
	// ReadOnly opens an existing file for reading. Append returns ErrReadOnly.
	// Any number of readers can have the file open at once, but none while a
	// writer has it.
	ReadOnly bool
	// LockTimeout is how long Open waits for another opener to let go of the
	// file before it returns ErrLocked; zero and less is 1 second.
	LockTimeout time.Duration
	// FileMode is that of a new file; the default is 0o600.
	FileMode fs.FileMode
	// Clock gives the time that is recorded; the default is time.Now. It is
	// called on the goroutine that appends. A clock that goes backward does
	// not make recorded times do so.
	Clock func() time.Time
	// NewID gives the ids of events that have none. It is called on the goroutine
	// that appends. The default makes UUIDs of version 7, of the time that Clock gives.
	NewID func() (uuid.UUID, error)
	// IndexMemory is about how many bytes of what is known of the last events are
	// held in memory before they are written to the index on disk; zero and less
	// is 16 MiB. It may become three times as much while much is appended. After
	// a crash, Open reads these events again.
	IndexMemory int
	// Logger is told what Open had to repair, what is found to be damaged later, and
	// which attached view is detached because of a fault: at Error, with the view, the
	// event, the error and, after a panic, the stack. Nil is slog.Default(); for silence,
	// give one with slog.DiscardHandler.
	Logger *slog.Logger

	// alone: whoever opens the store writes to it himself; it has no indexer.
	alone bool
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = time.Second
	}
	if opts.FileMode == 0 {
		opts.FileMode = 0o600
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.IndexMemory <= 0 {
		opts.IndexMemory = 16 << 20
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return opts
}
