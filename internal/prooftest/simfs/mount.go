package simfs

import (
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// ErrUnavailable means that the simulator is not available: FUSE is missing, or the
// right to mount.
var ErrUnavailable = errors.New("no FUSE here")

// Mounted is a mounted file system of recording disks. It is safe for concurrent use
// by multiple goroutines. The process that mounts it must not use files on it: it
// would wait for its own answer.
type Mounted struct {
	dir    string
	server *fuse.Server

	mu    sync.Mutex
	nodes map[uint64]node
	disks map[string]*Recorder
	last  uint64 // node
}

// node is a disk or a file, which has a number in the file system.
type node interface {
	recorder() *Recorder
	describe(*fuse.Attr)
}

func (r *Recorder) recorder() *Recorder { return r }
func (n *inode) recorder() *Recorder    { return n.on }

// Mount mounts the file system in a new directory under parent. The caller must
// Close it. The error matches [ErrUnavailable] if mounting is not possible.
func Mount(parent string) (*Mounted, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: only root may mount", ErrUnavailable)
	}
	dir, err := os.MkdirTemp(parent, "simfs-*")
	if err != nil {
		return nil, err
	}
	m := &Mounted{dir: dir, nodes: make(map[uint64]node), disks: make(map[string]*Recorder), last: fuse.FUSE_ROOT_ID}
	m.server, err = fuse.NewServer(&rawFS{RawFileSystem: fuse.NewDefaultRawFileSystem(), m: m}, dir, &fuse.MountOptions{
		FsName: "simfs", Name: "simfs", DirectMountStrict: true, MaxWrite: 1 << 20, DisableXAttrs: true, DisableReadDirPlus: true,
		Logger: log.New(os.Stderr, "simfs: ", 0),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), os.Remove(dir))
	}
	go m.server.Serve()
	if err := m.server.WaitMount(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), m.Close())
	}
	return m, nil
}

// Close unmounts the file system. Traces stay readable.
func (m *Mounted) Close() error {
	err := m.server.Unmount()
	if err != nil { // a file is open: the mount ends when it is closed
		err = syscall.Unmount(m.dir, syscall.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return os.Remove(m.dir)
}

// NewDisk makes a directory with the files of base, all durable, and records all
// operations on it.
func (m *Mounted) NewDisk(name string, base Disk) (*Recorder, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.disks[name] != nil {
		return nil, fmt.Errorf("make disk %q: %w", name, os.ErrExist)
	}
	r := &Recorder{mounted: m, name: name, base: base, names: make(map[string]*inode), next: FileID(len(base) + 1)}
	m.disks[name] = r
	m.last++
	r.node = m.last
	m.nodes[r.node] = r
	for i, file := range base.names() {
		n := &inode{on: r, id: FileID(i + 1), mode: 0o600}
		n.size, n.data = base[file].Size, slices.Clone(base[file].Data)
		r.names[file] = n
		m.add(n)
	}
	return r, nil
}

// add gives a file its number. The lock must be held.
func (m *Mounted) add(n *inode) {
	m.last++
	n.node = m.last
	m.nodes[n.node] = n
}
