package verify

import (
	"fmt"
	"slices"

	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// checkFile checks, without bbolt, that the path still names the open file, and the pages.
func (v *verifier) checkFile() error {
	if err := v.store.File.InPlace(); err != nil {
		v.add(File, 0, "%v", err)
	}
	for try := range metaTries {
		stable, err := v.checkPages(try == metaTries-1)
		if stable || err != nil {
			return err
		}
	}
	v.add(MetaPage, 0, "the two pages that describe the file cannot be read")
	return nil
}

// metaTries is how often the meta pages are read before they count as damaged: a read during
// a write may see half of a page.
const metaTries = 200

// checkPages checks the meta pages and the pages that they lead to, inside a transaction,
// which keeps these pages from being reused. It reports stable false, and must be called
// again, if the transaction is not that of the newest meta page, or if a meta page is
// damaged and this is not the last try.
func (v *verifier) checkPages(last bool) (stable bool, err error) {
	interrupted := func() error { return v.store.Usable(v.ctx) }
	damage, err := v.page(func(tx *pages.Tx) error {
		state, err := logfile.Inspect(v.store.File.OS)
		if err != nil || state.TxID != uint64(tx.ID()) || state.Damaged != "" && !last {
			return err
		}
		stable = true
		if state.Damaged != "" {
			v.add(MetaPage, 0, "%s", state.Damaged)
		}
		opts := pages.CheckOptions{Ignore: []string{string(logfile.AsideBucket)}, Interrupted: interrupted}
		return pages.Check(v.store.File.OS, state.Meta, opts, func(f pages.Finding) {
			where := ""
			if f.Bucket != "" {
				where = fmt.Sprintf(", of the bucket %q,", f.Bucket)
			}
			v.add(DamagedPage, 0, "page %d%s %s", f.Page, where, f.Problem)
		})
	})
	if err == nil {
		err = interrupted()
	}
	if err == nil && damage != nil {
		v.add(MetaPage, 0, "%v", damage)
		stable = true
	}
	return stable, err
}

// checkBuckets checks the file's description, and that the file has no unknown buckets or
// keys.
func (v *verifier) checkBuckets() error {
	known := [][]byte{logfile.StoreBucket, logfile.LogBucket, []byte(index.Bucket), logfile.HolesBucket, logfile.RowsBucket, logfile.ChangesBucket, logfile.CheckpointsBucket, logfile.AsideBucket}
	damage, err := v.page(func(tx *pages.Tx) error {
		if _, err := logfile.LoadIdentity(tx); err != nil {
			v.add(Description, 0, "%v", err)
		}
		for name, value := range tx.Root().All() {
			isKnown := slices.ContainsFunc(known, func(k []byte) bool { return string(k) == string(name) })
			switch {
			case value != nil:
				v.add(StrayBucket, 0, "the file has the key %q outside of all buckets", name)
			case !isKnown:
				v.add(StrayBucket, 0, "the file has the unknown bucket %q", name)
			}
		}
		return nil
	})
	if damage != nil {
		v.add(DamagedPage, 0, "the list of buckets cannot be read: %v", damage)
	}
	return err
}
