package boltstore

import (
	"context"
	"fmt"
	"io"

	"github.com/yore-es/yore/eventstore"
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
	chain, err := openChain(backups, false)
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	log := sequence{head: chain.manifest().After}
	err = chain.read(ctx, func(p eventstore.Position, rec []byte) error {
		_, err := log.next(p, rec)
		return err
	}, nil)
	if err == nil {
		err = log.end()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("verify backup: %w", err)
	}
	return Manifest(chain.manifest()), nil
}
