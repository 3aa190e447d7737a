package index

import (
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// TestSeed is the seed of the indexes in the tests.
const TestSeed = record.Seed(0x9abcdef0)

// FilterMark is the byte after the run's number in a filter's keys.
const FilterMark = filterMark

// Runs returns the numbers and levels of the runs of the index.
func Runs(tx *pages.Tx) (ids, levels []uint64, err error) {
	runs, _, err := parseManifest(TestSeed, tx.Bucket([]byte(Bucket)).Get(statusKey))
	for _, r := range runs {
		ids, levels = append(ids, r.id), append(levels, r.level)
	}
	return ids, levels, err
}

// Seal returns a value with its checksum, as stored under a key.
func Seal(key, value []byte) []byte { return appendSum(TestSeed, key, append([]byte(nil), value...)) }
