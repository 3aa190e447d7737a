// Command bboltloss shows that an application that continues after a failed commit
// of bbolt loses acknowledged data. It needs no special disk: strace makes two calls
// of fdatasync fail, and the program builds the file that a disk has after a power
// loss at that moment.
//
//	go build -o bboltloss . && strace -f -o /dev/null -e trace=fdatasync \
//	  -e inject=fdatasync:error=EIO:when=7..8 ./bboltloss
//
// It prints the state of the last acknowledged commit, which wrote 200 values of
// round b.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"
)

const metaSize = 80 // a meta page's header and content

func main() {
	runtime.LockOSThread() // strace counts the calls of each thread
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "bboltloss")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "db")
	db, err := bolt.Open(path, 0o600, nil) // fdatasync 1
	if err != nil {
		return err
	}
	defer db.Close()
	for _, round := range []byte("ab") { // fdatasync 2 to 5: for each, its pages and its meta page
		if err := put(db, round); err != nil {
			return err
		}
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Println("c:", put(db, 'c')) // 7, of its meta page, fails: the disk lacks that page
	after, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fmt.Println("d:", put(db, 'd')) // 8, of its pages, fails: its meta page is not written at all
	disk, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// Power is lost. The disk has everything written but the meta page of c.
	for _, page := range []int{0, os.Getpagesize()} {
		if !bytes.Equal(before[page:][:metaSize], after[page:][:metaSize]) {
			copy(disk[page:][:metaSize], before[page:])
		}
	}
	return report(filepath.Join(dir, "disk"), disk)
}

// put writes 200 values of a round.
func put(db *bolt.DB, round byte) error {
	return db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("b"))
		if err != nil {
			return err
		}
		for i := range 200 {
			if err := b.Put(fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{round}, 100)); err != nil {
				return err
			}
		}
		return nil
	})
}

// report opens a file with this content and prints what is in it.
func report(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		rounds := make(map[byte]int)
		err := tx.Bucket([]byte("b")).ForEach(func(_, value []byte) error {
			rounds[value[0]]++
			return nil
		})
		for round, n := range rounds {
			fmt.Printf("after the loss of power, transaction %d has %d values of round %c\n", tx.ID(), n, round)
		}
		return err
	})
}
