package logfile

import (
	"reflect"
	"sync"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"
)

// # The locks that a fault leaves behind
//
// Problem. The first thing that a transaction reads are the meta pages in the map. If
// another program has truncated the file, that read is a fault; if it has overwritten
// them, bbolt panics. Protect ends the call, but bbolt still holds its locks. The next
// transaction waits for ever, and so do Close, readers that end, and the writer in the
// middle of its commit.
//
// Invariant. Every call ends.
//
// Steps. If Begin has panicked, the locks that it holds at that point are unlocked. They
// are fields of bbolt that are not exported; so they are found by name and type. If bbolt
// has changed and they are not found, DB does not call bbolt any more and Close leaves the
// map behind. A test fails then.
//
// Rejected. To check the file before Begin: it can be truncated after the check. To only
// call bbolt no more: a commit under way would not end, nor would Close, which waits for
// it. To commit on another goroutine, which can be abandoned: each append would pay for
// the switch.

// metaLockPatience is how long the lock of the meta pages must have been held to count as
// left behind. bbolt holds it for microseconds.
const metaLockPatience = 5 * time.Millisecond

// release unlocks what a Begin that has panicked has left locked. It reports false if bbolt
// does not have the expected locks.
func (db *DB) release(b *bolt.DB, writable bool) bool {
	locks, ok := locksOf(b)
	switch {
	case !ok:
		return false
	case writable: // only one goroutine writes, so the lock is not another's
		_ = locks.writer.TryLock()
		locks.writer.Unlock()
		return true
	}
	for begin := time.Now(); !db.leaves.Load() && time.Since(begin) < metaLockPatience; time.Sleep(metaLockPatience / 50) {
		if locks.meta.TryLock() {
			locks.meta.Unlock()
			return true // bbolt has unlocked it
		}
	}
	db.leaves.Store(true)
	locks.mapped.RUnlock()
	locks.meta.Unlock()
	return true
}

// locks are the locks of a bbolt database.
type locks struct {
	writer, meta *sync.Mutex
	mapped       *sync.RWMutex
}

func locksOf(b *bolt.DB) (l locks, ok bool) {
	fields := reflect.ValueOf(b).Elem()
	l.writer = (*sync.Mutex)(fieldOf[sync.Mutex](fields, "rwlock"))
	l.meta = (*sync.Mutex)(fieldOf[sync.Mutex](fields, "metalock"))
	l.mapped = (*sync.RWMutex)(fieldOf[sync.RWMutex](fields, "mmaplock"))
	return l, l.writer != nil && l.meta != nil && l.mapped != nil
}

// fieldOf returns the address of a field, or nil if there is none of that name and type.
func fieldOf[T any](fields reflect.Value, name string) unsafe.Pointer {
	f := fields.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return unsafe.Pointer(f.UnsafeAddr())
}
