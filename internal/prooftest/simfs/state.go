package simfs

import (
	"path"
	"slices"
)

// state is a disk during the replay of a trace: its durable state and the pending
// operations.
type state struct {
	files   map[FileID]*file
	names   map[string]FileID // durable ones
	pending []Op              // not durable, in order
	stuck   []bool            // for each of pending: no later sync makes it durable
}

// file is the durable content of a file.
type file struct {
	size int64
	data []byte // the bytes after it are zero
}

func newState(base Disk) *state {
	s := &state{files: make(map[FileID]*file), names: make(map[string]FileID)}
	for i, name := range base.names() {
		id := FileID(i + 1)
		s.files[id] = &file{size: base[name].Size, data: slices.Clone(base[name].Data)}
		s.names[name] = id
	}
	return s
}

// do applies one operation.
func (s *state) do(op Op) {
	switch op.Kind {
	case Create, Link, Rename, Unlink, Truncate:
		s.add(op, false)
		if op.Kind == Create {
			s.files[op.File] = &file{}
		}
	case Write:
		s.add(op, op.Failed)
	case Sync:
		mine := func(p Op) bool { return p.File == op.File && (p.Kind == Write || p.Kind == Truncate) }
		switch {
		case op.Failed:
			s.stick(op.File)
		case !op.Lied:
			s.settle(mine)
		}
	case SyncDir:
		if !op.Failed && !op.Lied {
			s.settle(func(p Op) bool { return p.Kind < SyncDir && path.Dir(p.Name) == op.Name })
		}
	}
}

func (s *state) add(op Op, stuck bool) {
	s.pending = append(s.pending, op)
	s.stuck = append(s.stuck, stuck)
}

// stick marks the writes to a file as stuck: no sync makes them durable any more, and they
// may be on the disk or not. A size is not a page and stays dirty.
func (s *state) stick(id FileID) {
	for i, op := range s.pending {
		if op.Kind == Write && op.File == id {
			s.stuck[i] = true
		}
	}
}

// settle makes pending operations durable, except stuck ones. A stuck write loses
// the bytes that were written again since: the disk has the later ones.
func (s *state) settle(which func(Op) bool) {
	before, stuck := s.pending, s.stuck
	s.pending, s.stuck = nil, nil
	for i, op := range before {
		switch {
		case !which(op):
			s.add(op, stuck[i])
		case stuck[i]:
			for _, left := range uncovered(op, i, before, stuck) {
				s.add(left, true)
			}
		default:
			s.apply(op)
		}
	}
}

// apply makes an operation durable.
func (s *state) apply(op Op) {
	switch op.Kind {
	case Write:
		s.files[op.File].write(op.Offset, op.Data)
	case Truncate:
		s.files[op.File].truncate(op.Size)
	default:
		rename(s.names, op)
	}
}

// uncovered returns the parts of the stuck i-th operation, a write, that later
// operations which are not stuck do not cover.
func uncovered(op Op, i int, all []Op, stuck []bool) []Op {
	left := []Op{op}
	for j := i + 1; j < len(all) && len(left) > 0; j++ {
		later := all[j]
		if stuck[j] || later.File != op.File || later.Kind != Write && later.Kind != Truncate {
			continue
		}
		var rest []Op
		for _, part := range left {
			rest = append(rest, cut(part, later)...)
		}
		left = rest
	}
	return left
}

// cut returns the parts of a write that a later operation leaves.
func cut(op, later Op) []Op {
	end := op.Offset + int64(len(op.Data))
	from, to := later.Offset, later.Offset+int64(len(later.Data))
	if later.Kind == Truncate {
		from, to = later.Size, max(end, later.Size)
	}
	if from >= end || to <= op.Offset {
		return []Op{op}
	}
	var parts []Op
	if from > op.Offset {
		head := op
		head.Data = op.Data[:from-op.Offset]
		parts = append(parts, head)
	}
	if to < end {
		tail := op
		tail.Offset, tail.Data = to, op.Data[to-op.Offset:]
		parts = append(parts, tail)
	}
	return parts
}

// rename applies a change of a name.
func rename(names map[string]FileID, op Op) {
	switch op.Kind {
	case Create, Link:
		names[op.Name] = op.File
	case Rename:
		delete(names, op.Name)
		names[op.To] = op.File
	case Unlink:
		delete(names, op.Name)
	}
}

func (f *file) write(offset int64, data []byte) {
	end := offset + int64(len(data))
	if grow := end - int64(len(f.data)); grow > 0 {
		f.data = append(f.data, make([]byte, grow)...)
	}
	copy(f.data[offset:], data)
	f.size = max(f.size, end)
}

func (f *file) truncate(size int64) {
	f.size = size
	if int64(len(f.data)) > size {
		clear(f.data[size:])
		f.data = f.data[:size]
	}
}

// read reads at offset into b and returns the number of bytes.
func (f *file) read(b []byte, offset int64) int {
	n := int(max(0, min(int64(len(b)), f.size-offset)))
	copied := 0
	if offset < int64(len(f.data)) {
		copied = copy(b[:n], f.data[offset:])
	}
	clear(b[copied:n])
	return n
}
