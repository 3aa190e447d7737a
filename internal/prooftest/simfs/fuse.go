package simfs

import (
	"slices"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// cached is how long the kernel may cache answers. It makes all changes itself, so
// answers stay valid.
const cached = time.Hour

// rawFS answers the kernel.
type rawFS struct {
	fuse.RawFileSystem // ENOSYS for all other calls
	m                  *Mounted
}

func (f *rawFS) String() string { return "simfs" }

func (r *Recorder) describe(a *fuse.Attr) {
	a.Ino, a.Mode, a.Nlink = r.node, syscall.S_IFDIR|0o755, 2
}

func (n *inode) describe(a *fuse.Attr) {
	a.Ino, a.Mode, a.Nlink = n.node, syscall.S_IFREG|n.mode, 1
	a.Size, a.Blocks, a.Blksize = uint64(n.size), uint64(len(n.data)+511)/512, 4096
}

func answer(id uint64, n node, out *fuse.EntryOut) fuse.Status {
	out.NodeId = id
	n.describe(&out.Attr)
	out.SetEntryTimeout(cached)
	out.SetAttrTimeout(cached)
	return fuse.OK
}

// file returns the file with a number. The lock must be held.
func (f *rawFS) file(id uint64) *inode {
	n, _ := f.m.nodes[id].(*inode)
	return n
}

// disk returns the directory with a number. The lock must be held.
func (f *rawFS) disk(id uint64) *Recorder {
	r, _ := f.m.nodes[id].(*Recorder)
	return r
}

func (f *rawFS) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if in.NodeId == fuse.FUSE_ROOT_ID {
		if r := f.m.disks[name]; r != nil {
			return answer(r.node, r, out)
		}
	} else if r := f.disk(in.NodeId); r != nil && r.names[name] != nil {
		return answer(r.names[name].node, r.names[name], out)
	}
	return fuse.ENOENT
}

func (f *rawFS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	out.SetTimeout(cached)
	if in.NodeId == fuse.FUSE_ROOT_ID {
		out.Ino, out.Mode, out.Nlink = fuse.FUSE_ROOT_ID, syscall.S_IFDIR|0o755, 2
		return fuse.OK
	}
	n := f.m.nodes[in.NodeId]
	if n == nil {
		return fuse.ENOENT
	}
	n.describe(&out.Attr)
	return fuse.OK
}

func (f *rawFS) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.file(in.NodeId)
	if n == nil {
		return fuse.EPERM
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = mode & 0o7777
	}
	if size, ok := in.GetSize(); ok {
		if err := n.setSize(int64(size)); err != 0 {
			return fuse.Status(err)
		}
	}
	n.describe(&out.Attr)
	out.SetTimeout(cached)
	return fuse.OK
}

func (f *rawFS) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	r := f.disk(in.NodeId)
	if r == nil {
		return fuse.EPERM
	}
	n, err := r.create(name, in.Mode&0o7777)
	if err != 0 {
		return fuse.Status(err)
	}
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return answer(n.node, n, &out.EntryOut)
}

func (f *rawFS) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

func (f *rawFS) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.file(in.NodeId)
	if n == nil {
		return nil, fuse.EIO
	}
	return fuse.ReadResultData(buf[:n.read(buf, int64(in.Offset))]), fuse.OK
}

func (f *rawFS) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.file(in.NodeId)
	if n == nil {
		return 0, fuse.EIO
	}
	size, err := n.write(data, int64(in.Offset))
	return uint32(size), fuse.Status(err)
}

// Writev makes the library call Write.
func (f *rawFS) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (f *rawFS) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.file(in.NodeId)
	if n == nil {
		return fuse.EIO
	}
	return fuse.Status(n.sync())
}

func (f *rawFS) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if r := f.disk(in.NodeId); r != nil {
		return fuse.Status(r.syncNames())
	}
	return fuse.OK
}

func (f *rawFS) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	r, n := f.disk(in.NodeId), f.file(in.Oldnodeid)
	if r == nil || n == nil || n.on != r {
		return fuse.EPERM
	}
	if err := r.link(n, name); err != 0 {
		return fuse.Status(err)
	}
	return answer(n.node, n, out)
}

func (f *rawFS) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	r := f.disk(in.NodeId)
	if r == nil || in.Newdir != in.NodeId || in.Flags != 0 {
		return fuse.EPERM
	}
	return fuse.Status(r.rename(from, to))
}

func (f *rawFS) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	r := f.disk(in.NodeId)
	if r == nil {
		return fuse.EPERM
	}
	return fuse.Status(r.unlink(name))
}

func (f *rawFS) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (f *rawFS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	var names []string
	mode := uint32(syscall.S_IFREG)
	if r := f.disk(in.NodeId); r != nil {
		for name := range r.names {
			names = append(names, name)
		}
	} else {
		mode = syscall.S_IFDIR
		for name := range f.m.disks {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i := int(in.Offset); i < len(names); i++ {
		if !out.AddDirEntry(fuse.DirEntry{Name: names[i], Mode: mode, Off: uint64(i) + 1, Ino: fuse.FUSE_UNKNOWN_INO}) {
			break
		}
	}
	return fuse.OK
}

// Flush and Release do nothing, since the kernel writes through.

func (f *rawFS) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (f *rawFS) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

func (f *rawFS) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.Blocks, out.Bfree, out.Bavail, out.NameLen = 4096, 1<<30, 1<<30, 1<<30, 255
	return fuse.OK
}
