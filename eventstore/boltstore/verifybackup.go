package boltstore

import (
	"context"
	"fmt"
	"io"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/backup"
	"github.com/yore-es/yore/internal/logfile"
)

// VerifyBackup reads a backup, and the incremental ones that continue it, in
// their order, and returns what they hold together, as [Restore] does but with
// the epoch that they were made in. The first may be an incremental one too.
//
// It checks all that Restore checks without a file: each checksum, that nothing
// is missing, that each backup continues the one before. What only shows when the
// index is made it does not see: that the versions of streams have no gaps, and
// that no key is on two commits. Errors are those of Restore.
func VerifyBackup(ctx context.Context, backups ...io.Reader) (Manifest, error) {
	chain, err := backup.OpenChain(backups, false)
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	log := logfile.Sequence{Head: chain.Manifest().After}
	err = chain.Read(ctx, func(p eventstore.Position, rec []byte) error {
		_, err := log.Next(p, rec)
		return err
	}, nil)
	if err == nil {
		err = log.End()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	return Manifest(chain.Manifest()), nil
}
