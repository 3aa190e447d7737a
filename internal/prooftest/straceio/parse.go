package straceio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// Parse makes a trace of a log that strace -f -xx wrote: the operations on the files
// of a directory, which were base before.
func Parse(log io.Reader, dir string, base simfs.Disk) (simfs.Trace, error) {
	p := &parser{
		dir: filepath.Clean(dir), trace: simfs.Trace{Base: base}, names: make(map[string]*file),
		open: make(map[int64]*descriptor), next: simfs.FileID(len(base) + 1),
	}
	var sorted []string
	for name := range base {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for i, name := range sorted {
		p.names[name] = &file{id: simfs.FileID(i + 1), size: base[name].Size}
	}
	l := lines{begun: make(map[string]string)}
	reader := bufio.NewReaderSize(log, 1<<20)
	for number := 1; ; number++ {
		line, err := reader.ReadString('\n')
		if line == "" && errors.Is(err, io.EOF) {
			return p.trace, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return simfs.Trace{}, err
		}
		begun, ended, err := l.next(strings.TrimSuffix(line, "\n"))
		if err == nil && begun != nil {
			err = p.begin(begun)
		}
		if err == nil && ended != nil {
			err = p.end(ended)
		}
		if err != nil {
			return simfs.Trace{}, fmt.Errorf("line %d of the log of strace: %w", number, err)
		}
	}
}

// parser replays the calls that concern the directory.
type parser struct {
	dir   string
	trace simfs.Trace
	names map[string]*file
	open  map[int64]*descriptor
	next  simfs.FileID
	line  []byte // an incomplete line of the marks
}

type file struct {
	id    simfs.FileID
	size  int64
	marks bool
}

// descriptor is an open file, or the directory if file is nil.
type descriptor struct {
	file   *file
	offset int64
	append bool
}

func (p *parser) record(op simfs.Op) { p.trace.Ops = append(p.trace.Ops, op) }

// begin takes a call that has not returned yet. A descriptor number may be reused
// before the call that closes it returns.
func (p *parser) begin(c *systemCall) error {
	if c.name != "close" {
		return nil
	}
	fd, err := c.number(0)
	delete(p.open, fd)
	return err
}

// end takes a call that has returned.
func (p *parser) end(c *systemCall) error {
	switch c.name {
	case "open", "creat", "openat", "openat2", "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat",
		"symlink", "symlinkat", "mkdir", "mkdirat", "rmdir", "truncate":
		if c.result < 0 {
			return nil // no name was changed, no file was opened
		}
		return p.endNamed(c)
	case "sync", "syncfs", "msync":
		return fmt.Errorf("%s is not understood", c.name)
	}
	fd, err := c.number(0)
	if err != nil {
		return err
	}
	d := p.open[fd]
	if d == nil && c.name != "copy_file_range" && c.name != "splice" {
		return nil
	}
	switch c.name {
	case "close":
		if !c.split { // otherwise begin has taken it
			delete(p.open, fd)
		}
		return nil
	case "fcntl":
		if strings.HasPrefix(c.arg(1), "F_DUPFD") && c.result >= 0 {
			p.open[c.result] = d
		}
		return nil
	case "dup", "dup2", "dup3":
		if c.result >= 0 {
			p.open[c.result] = d
		}
		return nil
	case "sendfile", "copy_file_range", "splice":
		return p.endCopy(c)
	case "fsync", "fdatasync":
		p.sync(d, c.result < 0)
		return nil
	}
	if d.file == nil {
		return fmt.Errorf("%s of the directory is not understood", c.name)
	}
	return p.endFile(c, d)
}

func (p *parser) sync(d *descriptor, failed bool) {
	switch {
	case d.file == nil:
		p.record(simfs.Op{Kind: simfs.SyncDir, Name: ".", Failed: failed})
	case !d.file.marks:
		p.record(simfs.Op{Kind: simfs.Sync, File: d.file.id, Failed: failed})
	}
}

// endCopy takes a call that copies between files. A copy into the directory is not
// supported.
func (p *parser) endCopy(c *systemCall) error {
	to := 2 // copy_file_range, splice
	if c.name == "sendfile" {
		to = 0
	}
	fd, err := c.number(to)
	if err == nil && p.open[fd] != nil {
		err = fmt.Errorf("%s into a file is not understood", c.name)
	}
	return err
}

// endFile takes a call that changes a file by its descriptor.
func (p *parser) endFile(c *systemCall, d *descriptor) error {
	switch c.name {
	case "lseek":
		if c.result >= 0 {
			d.offset = c.result
		}
		return nil
	case "ftruncate":
		size, err := c.number(1)
		if err != nil || c.result < 0 {
			return err
		}
		d.file.size = size
		p.record(simfs.Op{Kind: simfs.Truncate, File: d.file.id, Size: size})
		return nil
	case "write", "pwrite64":
		return p.endWrite(c, d)
	default:
		return fmt.Errorf("%s of a file is not understood", c.name)
	}
}

func (p *parser) endWrite(c *systemCall, d *descriptor) error {
	if c.result <= 0 {
		return nil // an injected error: the call was not made
	}
	data, err := c.bytes(1)
	if err != nil {
		return err
	}
	if int64(len(data)) < c.result {
		return fmt.Errorf("%s of %d bytes, of which the log has %d", c.name, c.result, len(data))
	}
	data = data[:c.result]
	if d.file.marks {
		p.mark(data)
		return nil
	}
	offset := d.offset
	if d.append {
		offset = d.file.size
	}
	if c.name == "pwrite64" {
		if offset, err = c.number(3); err != nil {
			return err
		}
	} else {
		d.offset = offset + c.result
	}
	d.file.size = max(d.file.size, offset+c.result)
	p.record(simfs.Op{Kind: simfs.Write, File: d.file.id, Offset: offset, Data: data})
	return nil
}

// mark records the lines that are complete.
func (p *parser) mark(data []byte) {
	p.line = append(p.line, data...)
	for {
		line, rest, ended := bytes.Cut(p.line, []byte("\n"))
		if !ended {
			return
		}
		p.record(simfs.Op{Kind: simfs.Mark, Text: string(line)})
		p.line = rest
	}
}
