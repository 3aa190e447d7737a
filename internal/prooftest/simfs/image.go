package simfs

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Image is a possible content of the disk after a power loss.
type Image struct {
	Disk   Disk
	Moment int    // operations of the trace before the power loss
	Marks  int    // marks among them
	How    string // the fates of the pending operations
}

// WriteTo writes the files to a directory, which it creates, as new inodes.
func (d Disk) WriteTo(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, content := range d {
		if err := content.writeTo(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (f File) writeTo(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(f.Data)
	if err == nil {
		err = file.Truncate(f.Size)
	}
	return errors.Join(err, file.Close())
}

// hashSeed is one for the process, so that equal images have equal hashes.
var hashSeed = maphash.MakeSeed()

// hash returns a hash of the disk's names and contents.
func (d Disk) hash() uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	for _, name := range d.names() {
		f := d[name]
		data := f.Data
		for len(data) > 0 && data[len(data)-1] == 0 {
			data = data[:len(data)-1]
		}
		_, _ = fmt.Fprintf(&h, "%s\x00%d %d\x00", name, f.Size, len(data))
		_, _ = h.Write(data)
	}
	return h.Sum64()
}

// fate is the outcome of a pending operation.
type fate struct {
	kind  fateKind
	unit  int
	seed  uint64 // of a torn write
	until int    // of a cut write: the number of units that are there

}

type fateKind uint8

const (
	dropped   fateKind = iota
	kept               // all of it
	cutOff             // its first units
	torn               // some of its units
	scribbled          // some of its units, and garbage in the others
)

// units are the sizes, in bytes, of the parts of a torn write: the units that memory
// and disks write at once.
var units = [...]int{8, 512, 4096}

func (f fate) String() string {
	switch f.kind {
	case kept:
		return "kept"
	case cutOff:
		return fmt.Sprintf("cut after %d units of %d", f.until, f.unit)
	case torn:
		return fmt.Sprintf("torn in units of %d", f.unit)
	case scribbled:
		return fmt.Sprintf("scribbled in units of %d", f.unit)
	default:
		return "dropped"
	}
}

// damage returns a random fate beside kept and dropped. An operation that is not a
// write can only be kept or dropped.
func (e *explorer) damage(op Op) fate {
	r := e.random
	if op.Kind != Write || len(op.Data) < 2*units[0] {
		return fate{kind: kept}
	}
	unit := units[r.IntN(len(units))]
	for unit*2 > len(op.Data) {
		unit = units[0]
	}
	f := fate{kind: cutOff + fateKind(r.IntN(3)), unit: unit, seed: r.Uint64()}
	if f.kind == cutOff {
		f.until = 1 + r.IntN((len(op.Data)-1)/unit)
	}
	return f
}

// image returns the disk with the fates of the pending operations, and a description
// of these.
func (s *state) image(fates []fate) (Disk, string) {
	names := maps.Clone(s.names)
	for i, op := range s.pending {
		if op.Kind < SyncDir && fates[i].kind != dropped {
			rename(names, op)
		}
	}
	files := make(map[FileID]*file)
	for _, id := range names {
		f := s.files[id]
		files[id] = &file{size: f.size, data: slices.Clone(f.data)}
	}
	for i, op := range s.pending {
		f := files[op.File]
		switch {
		case f == nil || fates[i].kind == dropped:
		case op.Kind == Truncate:
			f.truncate(op.Size)
		case op.Kind == Write:
			f.suffer(op, fates[i])
		}
	}
	d := make(Disk, len(names))
	for name, id := range names {
		d[name] = File{Size: files[id].size, Data: files[id].data}
	}
	return d, s.tell(fates)
}

// suffer applies a write as far as its fate allows.
func (f *file) suffer(op Op, how fate) {
	data := op.Data
	switch how.kind {
	case cutOff:
		data = data[:min(len(data), how.until*how.unit)]
	case torn, scribbled:
		data = slices.Clone(data)
		before := make([]byte, len(data))
		if op.Offset < int64(len(f.data)) {
			copy(before, f.data[op.Offset:])
		}
		r := rand.New(rand.NewPCG(how.seed, 0))
		for start := 0; start < len(data); start += how.unit {
			unit := data[start:min(len(data), start+how.unit)]
			old := before[start:][:len(unit)]
			switch {
			case r.IntN(2) == 0:
			case how.kind == torn:
				copy(unit, old)
			default:
				for i := range unit {
					unit[i] = byte(r.Uint32())
				}
			}
		}
	}
	f.write(op.Offset, data)
}

// tell describes the fates of the pending operations.
func (s *state) tell(fates []fate) string {
	if len(fates) == 0 {
		return "nothing was pending"
	}
	parts := make([]string, len(fates))
	for i, op := range s.pending {
		parts[i] = op.String() + ": " + fates[i].String()
	}
	return strings.Join(parts, "; ")
}
