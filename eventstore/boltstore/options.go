package boltstore

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Options are the options of Open. Nil and zero values mean the defaults.
type Options struct {
	// ReadOnly opens an existing file for reading. Append returns ErrReadOnly. Any number
	// of readers can have the file open at once, but none while a writer has it open.
	ReadOnly bool
	// LockTimeout is how long Open waits for another opener to close the file before it
	// returns ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// FileMode is the permissions of a new file, before the umask. Zero means 0o600.
	FileMode fs.FileMode
	// Clock returns the time at which an event is recorded. Nil means time.Now. It is
	// called on the goroutine that appends. Recorded times do not decrease, even if the
	// clock goes backward. With a time outside the years 1678 to 2261 in UTC, Append and
	// Backup return ErrInvalid.
	Clock func() time.Time
	// NewID returns the ids of events that have none. It is called on the goroutine that
	// appends. Nil means UUIDs of version 7 with the time of Clock. If it returns the zero
	// UUID, Append returns ErrInvalid.
	NewID func() (uuid.UUID, error)
	// IndexMemory is about how many bytes the index holds in memory before they are
	// written to the file. Zero or negative means 16 MiB. While many events are appended
	// it may be three times as much. After a crash, Open reads these events again.
	IndexMemory int
	// Logger logs what Open has repaired, damage that is found later, and attached views
	// that are detached because of a fault: at Error, with the view, the event, the error
	// and, after a panic, the stack. Nil means slog.Default(); a logger with
	// slog.DiscardHandler is silent.
	Logger *slog.Logger

	// alone starts no indexer: the opener writes the index.
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
