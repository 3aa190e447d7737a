package truncation

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

// garbage is a row of the garbage table: a path that is opened as a log.
type garbage struct {
	name string
	make func(t *tester, dir string) (path string, err error)
	// want is the error that Open must match; nil means a store that answers every
	// question.
	want error
	// readable means that a store that is opened for reading answers every question.
	readable bool
	// warns means that the store must log a warning of damage.
	warns bool
	// older means that the file has the state before its last transaction.
	older bool
}

// errSkip means that a row cannot be tried on this machine.
var errSkip = errors.New("cannot be had here")

func garbageTable() []garbage {
	table := []garbage{
		{name: "an empty file", make: file(nil), want: eventstore.ErrFormat},
		{name: "a file of one byte", make: file([]byte{0}), want: eventstore.ErrFormat},
		{name: "a text", make: file([]byte(strings.Repeat("position,type,data\n", 900))), want: eventstore.ErrFormat},
		{name: "a PNG", make: file(header("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", 20_000)), want: eventstore.ErrFormat},
		{name: "an SQLite database", make: file(header("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20", 16_384)), want: eventstore.ErrFormat},
		{name: "a zip archive", make: file(header("PK\x03\x04\x14\x00\x08\x00\x08\x00", 30_000)), want: eventstore.ErrFormat},
		{name: "zeros", make: file(make([]byte, 1<<16)), want: eventstore.ErrFormat},
		{name: "a directory", make: directory, want: eventstore.ErrFormat},
		{name: "a FIFO", make: fifo, want: eventstore.ErrFormat},
		{name: "a socket", make: socket, want: eventstore.ErrFormat},
		{name: "/dev/null", make: device("/dev/null"), want: eventstore.ErrFormat},
		{name: "/dev/zero", make: device("/dev/zero"), want: eventstore.ErrFormat},
		{name: "a loop of symbolic links", make: linkLoop, want: syscall.ELOOP},
		{name: "a symbolic link to nothing", make: danglingLink, want: os.ErrNotExist},
		{name: "a symbolic link to a log", make: linkToLog},
		{name: "a path below a file", make: belowFile, want: syscall.ENOTDIR},
		{name: "a path in no directory", make: noDirectory, want: os.ErrNotExist},
		{name: "a bbolt file of another program", make: boltFile(otherProgram), want: eventstore.ErrFormat},
		{name: "an empty bbolt file", make: boltFile(func(*bolt.Tx) error { return nil }), want: eventstore.ErrFormat},
		{name: "a bbolt file with a bucket log of something else", make: boltFile(otherLog), want: eventstore.ErrFormat},
		{name: "a log of a newer format", make: edited(newerFormat), want: eventstore.ErrFormat},
		{name: "a log without its description", make: edited(noDescription), want: eventstore.ErrFormat},
		{name: "a log without its bucket log", make: edited(noLog), want: eventstore.ErrCorrupt},
		{name: "a log whose meta pages are both damaged", make: damagedMetas(0, 1), want: eventstore.ErrCorrupt},
		{name: "a log whose older meta page is damaged", make: damagedMetas(older), warns: true},
		{name: "a log whose newer meta page is damaged", make: damagedMetas(newer), warns: true, older: true},
		{name: "a file without permission", make: noPermission, want: os.ErrPermission},
		{name: "a log that another process has locked", make: lockedByAnother, want: eventstore.ErrLocked},
		{name: "a log on a read-only file system", make: readOnlyMount, want: syscall.EROFS, readable: true},
	}
	for _, size := range []int{1, 15, 16, 79, 80, 512, 4095, 4096, 4097, 8191, 8192, 8193, 16_384, 65_536} {
		table = append(table, garbage{name: fmt.Sprint("random bytes, ", size), make: randomBytes(size), want: eventstore.ErrFormat})
	}
	return table
}

// tryGarbage opens a row of the table.
func (t *tester) tryGarbage(ctx context.Context, c Case) Result {
	table := garbageTable()
	i := slices.IndexFunc(table, func(g garbage) bool { return g.name == c.Garbage })
	if i < 0 {
		return Result{Problem: "not in the table"}
	}
	dir, err := os.MkdirTemp(filepath.Dir(t.path), "garbage-*")
	if err != nil {
		return Result{Problem: err.Error()}
	}
	path, err := table[i].make(t, dir)
	defer func() {
		for _, undo := range slices.Backward(t.undo) {
			undo()
		}
		t.undo = nil
		_ = os.RemoveAll(dir) // in scratch, which is removed at the end
	}()
	if errors.Is(err, errSkip) {
		return Result{Skipped: err.Error()}
	}
	if err != nil {
		return Result{Problem: "make " + c.Garbage + ": " + err.Error()}
	}
	return t.openGarbage(ctx, table[i], path, c.ReadOnly)
}

func (t *tester) openGarbage(ctx context.Context, g garbage, path string, readOnly bool) Result {
	if g.want == nil || readOnly && g.readable {
		known := t.known
		if g.older && headOf(path) < len(known.Events) {
			known = known.Before() // otherwise the last transaction wrote the index
		}
		o := known.Examine(ctx, path, sample.How{ReadOnly: readOnly, Note: trial.Note})
		warned := o.Class == sample.Detected && (o.By == "log" || o.By == "verify")
		if warned != g.warns || !warned && o.Class != sample.Harmless {
			return Result{Problem: o.String()}
		}
		return Result{}
	}
	before := contentOf(path)
	store, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly, LockTimeout: 50 * time.Millisecond})
	if err == nil {
		return Result{Problem: errors.Join(errors.New("it was opened"), store.Close()).Error()}
	}
	r := Result{Error: err.Error()}
	switch {
	case !errors.Is(err, g.want):
		r.Problem = fmt.Sprintf("the error %q does not match %q", err, g.want)
	case !strings.Contains(err.Error(), path):
		r.Problem = fmt.Sprintf("the error %q does not name the path", err)
	case !errors.Is(g.want, eventstore.ErrLocked) && !bytes.Equal(before, contentOf(path)): // otherwise the lock's holder may write
		r.Problem = "the file was refused and yet changed"
	}
	return r
}

// headOf returns the head of a log, or 0.
func headOf(path string) int {
	store, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		return 0
	}
	defer func() { _ = store.Close() }() // it has written nothing
	head, err := store.Head(context.Background())
	if err != nil {
		return 0
	}
	return int(head)
}

// contentOf returns the content of a regular file, and nil for anything else.
func contentOf(path string) []byte {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return content
}

func header(magic string, size int) []byte {
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * 7)
	}
	copy(content, magic)
	return content
}

func file(content []byte) func(*tester, string) (string, error) {
	return func(_ *tester, dir string) (string, error) {
		path := filepath.Join(dir, "file")
		return path, os.WriteFile(path, content, 0o600)
	}
}

func randomBytes(size int) func(*tester, string) (string, error) {
	random := rand.New(rand.NewPCG(uint64(size), 0))
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	return file(content)
}

func directory(_ *tester, dir string) (string, error) {
	path := filepath.Join(dir, "directory")
	return path, os.Mkdir(path, 0o700)
}

func fifo(_ *tester, dir string) (string, error) {
	path := filepath.Join(dir, "fifo")
	return path, syscall.Mkfifo(path, 0o600)
}

func socket(t *tester, _ string) (string, error) {
	dir, err := os.MkdirTemp("", "s") // the path of a socket must be short
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	t.after(func() { _ = errors.Join(listener.Close(), os.RemoveAll(dir)) })
	return path, nil
}

func device(path string) func(*tester, string) (string, error) {
	return func(*tester, string) (string, error) {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %w", errSkip, err)
		}
		return path, nil
	}
}

func linkLoop(_ *tester, dir string) (string, error) {
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	return a, errors.Join(os.Symlink(a, b), os.Symlink(b, a))
}

func danglingLink(_ *tester, dir string) (string, error) {
	path := filepath.Join(dir, "link")
	return path, os.Symlink(filepath.Join(dir, "gone", "log.yore"), path)
}

func linkToLog(t *tester, dir string) (string, error) {
	path := filepath.Join(dir, "link")
	target := filepath.Join(dir, "log.yore")
	return path, errors.Join(sample.Write(target, t.content, t.known.Size), os.Symlink(target, path))
}

func belowFile(_ *tester, dir string) (string, error) {
	path := filepath.Join(dir, "file")
	return filepath.Join(path, "log.yore"), os.WriteFile(path, nil, 0o600)
}

func noDirectory(_ *tester, dir string) (string, error) {
	return filepath.Join(dir, "none", "log.yore"), nil
}

// boltFile makes a database and fills it.
func boltFile(fill func(*bolt.Tx) error) func(*tester, string) (string, error) {
	return func(_ *tester, dir string) (string, error) {
		path := filepath.Join(dir, "other.db")
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			return "", err
		}
		return path, errors.Join(db.Update(fill), db.Close())
	}
}

func otherProgram(tx *bolt.Tx) error {
	users, err := tx.CreateBucket([]byte("users"))
	if err != nil {
		return err
	}
	return users.Put([]byte("ann"), []byte("42"))
}

func otherLog(tx *bolt.Tx) error {
	log, err := tx.CreateBucket([]byte("log"))
	if err != nil {
		return err
	}
	return log.Put([]byte("2026-03-01"), []byte("started"))
}

// edited makes a log and changes its buckets.
func edited(edit func(*bolt.Tx) error) func(*tester, string) (string, error) {
	return func(t *tester, dir string) (string, error) {
		path := filepath.Join(dir, "log.yore")
		if err := sample.Write(path, t.content, t.known.Size); err != nil {
			return "", err
		}
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			return "", err
		}
		return path, errors.Join(db.Update(edit), db.Close())
	}
}

// The names in the file, as in the reference of the file format.
var (
	descriptionBucket = []byte("yore")
	formatKey         = []byte("format")
	logBucket         = []byte("log")
)

func newerFormat(tx *bolt.Tx) error {
	return tx.Bucket(descriptionBucket).Put(formatKey, binary.BigEndian.AppendUint32(nil, 1_000_000))
}

func noDescription(tx *bolt.Tx) error { return tx.DeleteBucket(descriptionBucket) }

func noLog(tx *bolt.Tx) error { return tx.DeleteBucket(logBucket) }

// The meta pages alternate, so the file determines which one is newer.
const (
	older = -1
	newer = -2
)

// damagedMetas changes a byte under the checksum of meta pages.
func damagedMetas(pages ...int) func(*tester, string) (string, error) {
	return func(t *tester, dir string) (string, error) {
		content, size := slices.Clone(t.content), os.Getpagesize()
		transaction := func(page int) uint64 { return binary.LittleEndian.Uint64(content[page*size+64:]) }
		for _, page := range pages {
			if page < 0 {
				first := (transaction(0) < transaction(1)) == (page == older)
				if page = 1; first {
					page = 0
				}
			}
			content[page*size+40]++
		}
		path := filepath.Join(dir, "log.yore")
		return path, sample.Write(path, content, t.known.Size)
	}
}

func noPermission(t *tester, dir string) (string, error) {
	if os.Geteuid() == 0 {
		return "", fmt.Errorf("%w: root may read everything", errSkip)
	}
	path := filepath.Join(dir, "log.yore")
	return path, errors.Join(sample.Write(path, t.content, t.known.Size), os.Chmod(path, 0))
}

// lockedByAnother makes a child hold the lock.
func lockedByAnother(t *tester, dir string) (string, error) {
	path := filepath.Join(dir, "log.yore")
	if err := sample.Write(path, t.content, t.known.Size); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	holder := exec.Command(self, "-child", holderName, path)
	in, err := holder.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := holder.Start(); err != nil {
		return "", err
	}
	t.after(func() { _ = errors.Join(in.Close(), holder.Wait()) })
	_, err = out.Read(make([]byte, 1)) // the child writes a byte when it has the lock
	return path, err
}

const holderName = "hold-log-open"

// hold is a child that has a log open until its input ends.
func hold(_ context.Context, args []string) error {
	store, err := boltstore.Open(args[0], nil)
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = os.Stdin.Read(make([]byte, 1)) // returns at the end of the input
	return store.Close()
}

// readOnlyMount makes a log on a file system that is mounted read-only.
func readOnlyMount(t *tester, dir string) (string, error) {
	mount := func(flags uintptr) error { return syscall.Mount("tmpfs", dir, "tmpfs", flags, "") }
	if err := mount(0); err != nil {
		return "", fmt.Errorf("%w: mount: %w", errSkip, err)
	}
	t.after(func() { _ = syscall.Unmount(dir, 0) })
	path := filepath.Join(dir, "log.yore")
	if err := sample.Write(path, t.content, t.known.Size); err != nil {
		return "", err
	}
	return path, mount(syscall.MS_REMOUNT | syscall.MS_RDONLY)
}
