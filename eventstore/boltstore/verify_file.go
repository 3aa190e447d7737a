package boltstore

import (
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// checkFile checks what can be seen without bbolt: that the path still names the
// file that is open, and its pages.
func (v *verifier) checkFile() error {
	if err := v.store.file.inPlace(); err != nil {
		v.add(File, 0, "%v", err)
	}
	state, err := v.inspect()
	if err == nil && state.Damaged != "" {
		err = errors.New(state.Damaged)
	}
	if err != nil {
		v.add(MetaPage, 0, "%v", err)
		return nil
	}
	if !v.store.opts.ReadOnly {
		return nil // pages change
	}
	interrupted := func() error { return v.store.usable(v.ctx) }
	err = pages.Check(v.store.file.os, state.Meta, pages.CheckOptions{Interrupted: interrupted}, func(f pages.Finding) {
		where := ""
		if f.Bucket != "" {
			where = fmt.Sprintf(", of the bucket %q,", f.Bucket)
		}
		v.add(DamagedPage, 0, "page %d%s %s", f.Page, where, f.Problem)
	})
	if err != nil && interrupted() == nil {
		v.add(DamagedPage, 0, "%v", err)
		return nil
	}
	return err
}

// inspect reads the meta pages. One that is being written at this moment may be
// seen half.
func (v *verifier) inspect() (state pages.State, err error) {
	for range metaTries {
		if state, err = inspect(v.store.file.os); err == nil && state.Damaged == "" {
			break
		}
	}
	return state, err
}

// metaTries is how often the meta pages are read before they count as damaged.
const metaTries = 5

// checkBuckets checks that the file holds what it should, and nothing else, and
// what it says of itself.
func (v *verifier) checkBuckets() error {
	known := [][]byte{storeBucket, logBucket, []byte(index.Bucket), rowsBucket, checkpointsBucket, asideBucket}
	damage, err := v.page(func(tx *bolt.Tx) error {
		if _, err := loadInfo(tx); err != nil {
			v.add(Description, 0, "%v", err)
		}
		cursor := tx.Cursor()
		for name, value := cursor.First(); name != nil; name, value = cursor.Next() {
			isKnown := slices.ContainsFunc(known, func(k []byte) bool { return string(k) == string(name) })
			switch {
			case value != nil:
				v.add(StrayBucket, 0, "the file holds the key %q, outside of all buckets", name)
			case !isKnown:
				v.add(StrayBucket, 0, "the file holds the bucket %q", name)
			}
		}
		return nil
	})
	if damage != nil {
		v.add(DamagedPage, 0, "the list of buckets cannot be read: %v", damage)
	}
	return err
}
