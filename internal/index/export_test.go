package index

import bolt "go.etcd.io/bbolt"

// FilterMark is what a filter's keys have behind the run's number.
const FilterMark = filterMark

// Runs returns the numbers and levels of the runs that make up the index.
func Runs(tx *bolt.Tx) (ids, levels []uint64, err error) {
	runs, _, err := parseManifest(tx.Bucket([]byte(Bucket)).Get(statusKey))
	for _, r := range runs {
		ids, levels = append(ids, r.id), append(levels, r.level)
	}
	return ids, levels, err
}

// Seal returns a value as it lies under a key, with its checksum.
func Seal(key, value []byte) []byte { return appendSum(key, append([]byte(nil), value...)) }
