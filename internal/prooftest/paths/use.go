package paths

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/logfile"
)

// appendTo opens the log at path, appends an event, and closes it. It returns the number
// of events.
func appendTo(ctx context.Context, path string, o *boltstore.Options) (n int, err error) {
	s, err := boltstore.Open(path, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return appendOne(ctx, s)
}

func appendOne(ctx context.Context, s eventstore.Store) (int, error) {
	receipt, err := eventstore.AppendTo(ctx, s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
	return int(receipt.Last), err
}

// wantEvents appends an event to each path in turn. All name the same log. It checks the
// number of events after each.
func wantEvents(ctx context.Context, first int, paths ...string) error {
	for i, path := range paths {
		n, err := appendTo(ctx, path, nil)
		if err == nil && n != first+i {
			err = fmt.Errorf("%s: %d events instead of %d", path, n, first+i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wantNames checks the names in a directory.
func wantNames(dir string, want ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		return fmt.Errorf("%s has %.300q and should have %.300q", dir, names, want)
	}
	return nil
}

// doubt leaves the note that a failed sync leaves.
func doubt(path string) error {
	db, f, err := logfile.Open(path, logfile.OpenOptions{})
	if err != nil {
		return err
	}
	return errors.Join(f.Doubt(), db.Close())
}

// backUp returns a backup of the log at path.
func backUp(ctx context.Context, path string) (_ *bytes.Buffer, err error) {
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var backup bytes.Buffer
	_, err = s.Backup(ctx, &backup, nil)
	return &backup, err
}
