package simfs

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Recorder is a directory on a [Mounted] that stands for a disk. It has no
// subdirectories. It is safe for concurrent use by multiple goroutines.
type Recorder struct {
	mounted *Mounted // its lock guards the fields below
	name    string
	node    uint64

	base   Disk
	ops    []Op
	names  map[string]*inode
	next   FileID
	phases phases

	fault    *Fault
	injected bool
	short    FileID // the file whose next write fails, after a short one
	calls    [endOfSites]int
	slow     [endOfSites]time.Duration
	block    *block

	line []byte // an incomplete line of the marks
}

// inode is a file as the page cache has it.
type inode struct {
	file
	id   FileID // 0: the marks, which are not part of the disk
	node uint64
	on   *Recorder
	mode uint32
}

// Dir returns the path of the directory.
func (r *Recorder) Dir() string { return filepath.Join(r.mounted.dir, r.name) }

// Trace returns the trace so far. Its operations must not be changed.
func (r *Recorder) Trace() Trace {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	return Trace{Base: r.base, Ops: slices.Clip(r.ops)}
}

// Len returns how many operations the trace has so far.
func (r *Recorder) Len() int {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	return len(r.ops)
}

// Cached returns the disk as the page cache has it: as a process finds it after
// another one was killed.
func (r *Recorder) Cached() Disk {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	d := make(Disk)
	for name, n := range r.names {
		if n.id != 0 {
			d[name] = File{Size: n.size, Data: slices.Clone(n.data)}
		}
	}
	return d
}

// Discard drops the disk. Its files must be closed.
func (r *Recorder) Discard() {
	r.mounted.mu.Lock()
	defer r.mounted.mu.Unlock()
	r.ops, r.base, r.names = nil, nil, nil
	for id, n := range r.mounted.nodes {
		if n.recorder() == r {
			delete(r.mounted.nodes, id)
		}
	}
	delete(r.mounted.disks, r.name)
}

// The lock of mounted must be held for the methods below.

func (r *Recorder) create(name string, mode uint32) (*inode, syscall.Errno) {
	n := &inode{on: r, mode: mode}
	if name != MarksName {
		if err := r.call(CreateName); err != 0 {
			return nil, err
		}
		n.id = r.next
		r.next++
		r.record(Op{Kind: Create, Name: name, File: n.id})
	}
	r.names[name] = n
	r.mounted.add(n)
	return n, 0
}

func (r *Recorder) link(n *inode, name string) syscall.Errno {
	if r.names[name] != nil {
		return syscall.EEXIST
	}
	if err := r.call(LinkName); err != 0 {
		return err
	}
	r.record(Op{Kind: Link, Name: name, File: n.id})
	r.names[name] = n
	return 0
}

func (r *Recorder) rename(name, to string) syscall.Errno {
	n := r.names[name]
	if n == nil {
		return syscall.ENOENT
	}
	if err := r.call(RenameName); err != 0 {
		return err
	}
	r.record(Op{Kind: Rename, Name: name, To: to, File: n.id})
	delete(r.names, name)
	r.names[to] = n
	return 0
}

func (r *Recorder) unlink(name string) syscall.Errno {
	n := r.names[name]
	if n == nil {
		return syscall.ENOENT
	}
	if n.id != 0 {
		if err := r.call(UnlinkName); err != 0 {
			return err
		}
		r.record(Op{Kind: Unlink, Name: name, File: n.id})
	}
	delete(r.names, name)
	return 0
}

func (r *Recorder) syncNames() syscall.Errno {
	err := r.call(SyncNames)
	if err == syscall.EINTR {
		return err // as a file's
	}
	r.record(Op{Kind: SyncDir, Name: ".", Failed: err != 0})
	return err
}

// write does a write. It records a failed write too, since the kernel has it in its
// pages.
func (n *inode) write(data []byte, offset int64) (int, syscall.Errno) {
	r := n.on
	if n.id == 0 {
		r.mark(data)
		return len(data), 0
	}
	site := WriteData
	if offset < metaEnd {
		site = WriteMeta
	}
	size, err := r.shorten(n.id, site, len(data))
	if err == 0 {
		err = r.call(site)
	}
	if err != 0 {
		size = len(data)
	}
	kept := bytes.Clone(data[:size])
	r.record(Op{Kind: Write, File: n.id, Offset: offset, Data: kept, Failed: err != 0})
	n.file.write(offset, kept)
	return size, err
}

func (n *inode) setSize(size int64) syscall.Errno {
	if n.id != 0 {
		if err := n.on.call(SetSize); err != 0 {
			return err
		}
		n.on.record(Op{Kind: Truncate, File: n.id, Size: size})
	}
	n.truncate(size)
	return 0
}

func (n *inode) sync() syscall.Errno {
	if n.id == 0 {
		return 0
	}
	site := SyncIdle
	switch n.on.phases[n.id] {
	case dataPhase:
		site = SyncData
	case metaPhase:
		site = SyncMeta
	}
	err := n.on.call(site)
	if err == syscall.EINTR {
		return err // it was held until its process was killed, and then not done
	}
	n.on.record(Op{Kind: Sync, File: n.id, Failed: err != 0})
	return err
}

func (r *Recorder) record(op Op) {
	r.phases.next(op)
	r.ops = append(r.ops, op)
}

// mark records the lines that are complete.
func (r *Recorder) mark(data []byte) {
	r.line = append(r.line, data...)
	for {
		line, rest, ended := bytes.Cut(r.line, []byte("\n"))
		if !ended {
			return
		}
		r.record(Op{Kind: Mark, Text: strings.Clone(string(line))})
		r.line = rest
	}
}
