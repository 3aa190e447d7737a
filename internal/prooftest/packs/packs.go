// Package packs counts the packs of a log: values of its bucket that hold several
// records. Only large transactions write packs, so a workload must make sure that it
// has some, and report their number.
package packs

import (
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/record"
)

// Count returns the number of packs in the file of a closed store.
func Count(path string) (n int, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("log")).ForEach(func(key, value []byte) error {
			last, _ := record.ParseKey(key)
			v, err := record.ParseValue(last, value)
			if v.First < v.Last {
				n++
			}
			return err
		})
	})
	return n, errors.Join(err, db.Close())
}
