package inuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

func child(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: DIRECTORY-OF-SAMPLE SCRATCH DISK")
	}
	known, content, err := sample.Load(args[0])
	if err != nil {
		return err
	}
	go watchHeap()
	t := &tester{known: known, content: content, other: filepath.Join(args[0], otherFile), scratch: args[1], disk: args[2]}
	return trial.Serve(ctx, t.try)
}

// endlessFree is how a child ends whose file was overwritten within a commit of bbolt, in
// the microseconds between the last check of a page's header and its use.
const endlessFree = "bbolt frees the pages that a damaged header names"

// maxHeap is the most that the heap of a child may have, in bytes.
const maxHeap = 512 << 20

// watchHeap ends the process when its heap is too large, and says what it is doing.
func watchHeap() {
	var m runtime.MemStats
	for {
		if runtime.ReadMemStats(&m); m.HeapInuse > maxHeap {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if bytes.Contains(stacks, []byte("freelist.(*shared).Free(")) {
				fmt.Fprintln(os.Stderr, endlessFree)
			}
			fmt.Fprintf(os.Stderr, "the heap has %d bytes\n%s", m.HeapInuse, stacks)
			os.Exit(3)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// tester runs cases.
type tester struct {
	known         *sample.Sample
	content       []byte // of the sample's file
	other         string // the path of another log
	scratch, disk string // directories

	undo   []func() // ends what a case has begun
	result Result
	mu     sync.Mutex // of result, under load
}

func (t *tester) try(ctx context.Context, c Case) Result {
	t.result = Result{}
	table := damages()
	i := slices.IndexFunc(table, func(d damage) bool { return d.name == c.Damage })
	if i < 0 {
		return Result{Problem: "not in the table"}
	}
	defer func() {
		for _, undo := range slices.Backward(t.undo) {
			undo()
		}
		t.undo = nil
	}()
	err := t.damage(ctx, c, table[i])
	if errors.Is(err, errSkip) {
		return Result{Skipped: err.Error()}
	}
	if err != nil {
		t.problem("%v", err)
	}
	return t.result
}

// problem notes a broken promise.
func (t *tester) problem(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.result.Problem == "" {
		t.result.Problem = fmt.Sprintf(format, args...)
	}
}

// place returns an empty directory for the file of a case.
func (t *tester) place(d damage) (dir string, err error) {
	if d.disk {
		return t.mountDisk()
	}
	if dir, err = os.MkdirTemp(t.scratch, "case-*"); err != nil {
		return "", err
	}
	t.undo = append(t.undo, func() { _ = os.RemoveAll(dir) }) // in scratch, which is removed at the end
	return dir, nil
}

// damage opens a copy of the sample, damages its file, and uses the store.
func (t *tester) damage(ctx context.Context, c Case, d damage) error {
	dir, err := t.place(d)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "log.yore")
	if err := sample.Write(path, t.content, t.known.Size); err != nil {
		return err
	}
	if d.disk {
		if err := t.remount(); err != nil {
			return err
		}
	}
	store, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	grown, err := t.known.Grow(ctx, store) // the sample's file is older now
	if err != nil {
		return errors.Join(err, store.Close())
	}
	u := &user{tester: t, store: store, known: grown, damage: d}
	if c.Load {
		err = u.underLoad(ctx, path)
	} else if err = d.do(t, path); err == nil {
		u.useTwice(ctx, c.AppendFirst)
	}
	closeErr := errors.Join(store.Close(), store.Close())
	if closeErr != nil && (!d.disk || !ofSystem(closeErr)) {
		t.problem("Close: %v", closeErr)
	}
	if !d.disk {
		t.lockIsFree(path)
	}
	return err
}

// lockIsFree opens the file again.
func (t *tester) lockIsFree(path string) {
	again, err := boltstore.Open(path, &boltstore.Options{LockTimeout: 50 * time.Millisecond})
	if err == nil {
		err = again.Close()
	}
	if errors.Is(err, eventstore.ErrLocked) {
		t.problem("after Close: %v", err)
	}
}

// ofSystem reports whether an error is of the disk.
func ofSystem(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EROFS)
}

// user uses a store whose file is damaged.
type user struct {
	*tester
	store  *boltstore.Store
	known  *sample.Sample
	damage damage
}

// refused judges an error.
func (u *user) refused(call string, err error) {
	u.mu.Lock()
	u.result.Refused++
	if u.result.Error == "" {
		u.result.Error = call + ": " + err.Error()
	}
	u.mu.Unlock()
	switch {
	case u.damage.disk && ofSystem(err):
	case !sample.Typed(err):
		u.problem("%s: an error that a caller cannot match: %v", call, err)
	case u.damage.moved:
		u.problem("%s: the file is whole, and yet: %v", call, err)
	}
}

func (u *user) right() {
	u.mu.Lock()
	u.result.Right++
	u.mu.Unlock()
}

// useTwice makes every call twice.
func (u *user) useTwice(ctx context.Context, appendFirst bool) {
	for range 2 {
		if appendFirst {
			u.append(ctx)
		}
		for _, a := range u.known.Ask(ctx, u.store) {
			switch a.Verdict {
			case sample.Right:
				u.right()
			case sample.Refused:
				u.refused(a.Call, a.Err())
			case sample.Untyped:
				u.refused(a.Call, a.Err())
			default:
				u.problem("%v", a)
			}
		}
		u.tools(ctx)
		u.append(ctx)
	}
}

// another is a commit of one event.
var another = eventstore.Commit{
	Expect: []eventstore.Expect{{Stream: "cart-0", At: eventstore.Any}},
	Events: []eventstore.NewEvent{{Stream: "cart-0", Type: "type-0"}},
}

// append appends an event, which must be refused.
func (u *user) append(ctx context.Context) {
	receipt, err := u.store.Append(ctx, another)
	switch {
	case err == nil:
		u.problem("an append was acknowledged at position %d", receipt.First)
	case u.damage.disk && (ofSystem(err) || sample.Typed(err)):
	case !errors.Is(err, eventstore.ErrFailed):
		u.problem("an append: the error does not match ErrFailed: %v", err)
	}
}

// tools backs up, exports and verifies the store.
func (u *user) tools(ctx context.Context) {
	manifest, err := u.store.Backup(ctx, io.Discard, nil)
	switch {
	case err != nil:
		u.refused("back up", err)
	case int(manifest.Through) != len(u.known.Events):
		u.problem("a backup has %d events and no error", manifest.Through)
	default:
		u.right()
	}
	if _, err := u.store.Export(ctx, io.Discard, nil); err != nil {
		u.refused("export", err)
	}
	report, err := u.store.Verify(ctx, nil)
	switch {
	case err != nil && !u.damage.moved:
		u.refused("verify", err)
	case err != nil || len(report.Findings) == 0:
		u.problem("Verify finds nothing: %v", err)
	default:
		u.right()
	}
}
