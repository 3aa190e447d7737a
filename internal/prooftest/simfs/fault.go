package simfs

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// Site is the purpose of a call by bbolt.
type Site uint8

// The sites.
const (
	WriteData  Site = iota + 1 // a write beyond the meta pages
	WriteMeta                  // a write to the meta pages
	SetSize                    // a truncation
	SyncData                   // the sync after writes of data, or a truncation
	SyncMeta                   // the sync after a write to the meta pages alone
	SyncIdle                   // a sync with nothing written before, as on opening
	SyncNames                  // the sync of a directory
	CreateName                 // a file is created
	LinkName                   // a file gets a second name
	RenameName                 // a file is renamed
	UnlinkName                 // a name is removed
	endOfSites
)

var siteNames = [...]string{
	"", "data write", "meta write", "truncate", "data sync", "meta sync", "idle sync", "directory sync",
	"create", "link", "rename", "unlink",
}

// Sites returns all sites.
func Sites() []Site {
	var sites []Site
	for s := WriteData; s < endOfSites; s++ {
		sites = append(sites, s)
	}
	return sites
}

// String returns the site's name.
func (s Site) String() string { return siteNames[s] }

// Fault makes one call fail.
type Fault struct {
	At  Site
	Nth int           // which call of the site since the fault was injected, from 1
	Err syscall.Errno // the caller's error
	// Short makes a write end after half of its bytes, and the next write to the
	// file fail with Err, as on a full disk.
	Short bool
}

// String formats the fault in a few words.
func (f Fault) String() string {
	short := ""
	if f.Short {
		short = " after a short write"
	}
	return fmt.Sprintf("%s %d: %v%s", f.At, f.Nth, f.Err, short)
}

// Inject makes a later call fail. There is at most one fault at a time.
func (r *Recorder) Inject(f Fault) {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	r.fault, r.injected, r.short = &f, false, 0
	clear(r.calls[:])
}

// Injected reports whether the fault has happened.
func (r *Recorder) Injected() bool {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	return r.injected
}

// Calls returns the number of calls of a site since the last Inject or since the
// disk was made.
func (r *Recorder) Calls(s Site) int {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	return r.calls[s]
}

// Block makes a later call of the site wait before it does anything: the n-th from
// now. reached is closed when it waits. release ends the wait; the call then does
// nothing and returns EINTR. release must be called, and may be called more than
// once.
func (r *Recorder) Block(s Site, n int) (reached <-chan struct{}, release func()) {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	b := &block{site: s, at: r.calls[s] + n, reached: make(chan struct{}), released: make(chan struct{})}
	r.block = b
	return b.reached, sync.OnceFunc(func() { close(b.released) })
}

// Slow delays all calls of a site, so that a window before them stays open longer.
func (r *Recorder) Slow(s Site, by time.Duration) {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	r.slow[s] = by
}

// block is a call that waits.
type block struct {
	site              Site
	at                int
	reached, released chan struct{}
}

// call counts a call and returns the error that it must fail with, 0 for none. The
// caller holds the lock, which call releases while the call waits.
func (r *Recorder) call(s Site) syscall.Errno {
	r.calls[s]++
	if by := r.slow[s]; by > 0 {
		r.mounted.mu.Unlock()
		time.Sleep(by)
		r.mounted.mu.Lock()
	}
	if b := r.block; b != nil && b.site == s && b.at == r.calls[s] {
		r.block = nil
		close(b.reached)
		r.mounted.mu.Unlock()
		<-b.released
		r.mounted.mu.Lock()
		return syscall.EINTR
	}
	if f := r.fault; f != nil && !r.injected && f.At == s && f.Nth == r.calls[s] && !f.Short {
		r.injected = true
		return f.Err
	}
	return 0
}

// shorten returns how many bytes of a write are done. It is called for each write
// before call, with the lock held.
func (r *Recorder) shorten(id FileID, s Site, size int) (int, syscall.Errno) {
	if r.short == id && id != 0 {
		r.short = 0
		return 0, r.fault.Err
	}
	f := r.fault
	if f == nil || r.injected || !f.Short || f.At != s || f.Nth != r.calls[s]+1 {
		return size, 0
	}
	r.injected, r.short = true, id
	return size / 2, 0
}
