package simfs

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the kind of an [Op].
type Kind uint8

// The kinds of operations, and the fields that they use.
const (
	Create   Kind = iota + 1 // Name, File: a new, empty file under a name
	Link                     // Name, File: another name for a file
	Rename                   // Name, To: a file gets another name, possibly one in use
	Unlink                   // Name: a name is removed
	SyncDir                  // Name, Failed: fsync of a directory; "." is the root
	Write                    // File, Offset, Data, Failed
	Truncate                 // File, Size: the file's size is set
	Sync                     // File, Failed: fsync or fdatasync of a file
	Mark                     // Text: a line that the workload wrote
)

var kindNames = [...]string{"none", "create", "link", "rename", "unlink", "syncdir", "write", "truncate", "sync", "mark"}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// MarksName is the name of the file to which a workload writes its marks, a line at
// a time, each with one call of write. The file is not part of the disk: writes to
// it become Mark operations.
const MarksName = "marks"

// FileID identifies a file of a trace. It does not depend on the file's names and is
// never reused.
type FileID int64

// Op is one operation of a [Trace]. Operations took effect in the page cache in the
// order of the trace.
type Op struct {
	Kind   Kind
	File   FileID
	Name   string // relative to the disk's root, with slashes
	To     string
	Offset int64
	Size   int64
	Data   []byte
	Text   string

	// Failed means that the caller got an error. The Data of a failed write is in the
	// page cache all the same. A failed sync makes nothing durable,
	// and no later sync makes the earlier writes durable: the kernel marks their
	// pages clean.
	Failed bool
	// Lied means that a sync did nothing and returned no error.
	Lied bool
}

// String formats the operation in a few words.
func (o Op) String() string {
	var b strings.Builder
	b.WriteString(o.Kind.String())
	switch o.Kind {
	case Write:
		fmt.Fprintf(&b, " file %d [%d,+%d)", o.File, o.Offset, len(o.Data))
	case Truncate:
		fmt.Fprintf(&b, " file %d to %d", o.File, o.Size)
	case Sync:
		fmt.Fprintf(&b, " file %d", o.File)
	case Create, Link:
		fmt.Fprintf(&b, " %s = file %d", o.Name, o.File)
	case Rename:
		fmt.Fprintf(&b, " %s to %s", o.Name, o.To)
	case Mark:
		fmt.Fprintf(&b, " %q", o.Text)
	default:
		b.WriteString(" " + o.Name)
	}
	if o.Failed {
		b.WriteString(", failed")
	}
	if o.Lied {
		b.WriteString(", lied")
	}
	return b.String()
}

// Trace is all operations on a disk, in order. Base is the disk before them, all
// durable; its files have the ids 1, 2, 3 … in the order of their names.
type Trace struct {
	Base Disk
	Ops  []Op
}

// Marks returns the trace's marks, in order.
func (t Trace) Marks() []string {
	var marks []string
	for _, op := range t.Ops {
		if op.Kind == Mark {
			marks = append(marks, op.Text)
		}
	}
	return marks
}

// Durable returns the disk after ops operations, with nothing that is not certain to
// be left.
func (t Trace) Durable(ops int) Disk {
	s := newState(t.Base)
	for _, op := range t.Ops[:ops] {
		s.do(op)
	}
	disk, _ := s.image(make([]fate, len(s.pending)))
	return disk
}

// Disk is the files of a disk by name. Contents are shared and must not be changed.
type Disk map[string]File

// File is the content of a file: Size bytes, with zeros after Data.
type File struct {
	Size int64
	Data []byte
}

// Bytes returns the size of the files in bytes, without the zeros at their ends.
func (d Disk) Bytes() int {
	n := 0
	for _, f := range d {
		n += len(f.Data)
	}
	return n
}

// names returns the names of the files in order.
func (d Disk) names() []string {
	names := make([]string, 0, len(d))
	for name := range d {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Lie names the syncs of a disk that do nothing and return no error.
type Lie string

// The lies.
const (
	Honest  Lie = ""
	LieData Lie = "data" // syncs of a file after writes beyond its meta pages
	LieMeta Lie = "meta" // syncs of a file after writes to its meta pages alone
	LieAll  Lie = "all"  // both
	LieDir  Lie = "dir"  // syncs of directories
)

// metaEnd is where bbolt's two meta pages end, in bytes.
const metaEnd = 2 * 4096

// Told returns the trace as recorded on a disk that lies.
func (t Trace) Told(lie Lie) (Trace, error) {
	switch lie {
	case Honest:
		return t, nil
	case LieData, LieMeta, LieAll, LieDir:
	default:
		return Trace{}, fmt.Errorf("no lie %q: data, meta, all or dir", lie)
	}
	told := Trace{Base: t.Base, Ops: slices.Clone(t.Ops)}
	var phases phases
	for i := range told.Ops {
		op := &told.Ops[i]
		switch phase := phases.next(*op); phase {
		case dataPhase:
			op.Lied = lie == LieData || lie == LieAll
		case metaPhase:
			op.Lied = lie == LieMeta || lie == LieAll
		case dirPhase:
			op.Lied = lie == LieDir
		}
	}
	return told, nil
}

// phase is the purpose of a sync.
type phase uint8

const (
	noSync    phase = iota
	idlePhase       // nothing was written since the last sync
	dataPhase
	metaPhase
	dirPhase
)

// phases determines the phases of a trace's syncs.
type phases map[FileID]phase

// next returns the phase of an operation, which must be a sync.
func (p *phases) next(op Op) phase {
	if *p == nil {
		*p = make(phases)
	}
	switch op.Kind {
	case SyncDir:
		return dirPhase
	case Truncate:
		(*p)[op.File] = dataPhase
	case Write:
		if op.Offset >= metaEnd {
			(*p)[op.File] = dataPhase
		} else if (*p)[op.File] <= idlePhase {
			(*p)[op.File] = metaPhase
		}
	case Sync:
		now := max((*p)[op.File], idlePhase)
		(*p)[op.File] = idlePhase
		return now
	}
	return noSync
}
