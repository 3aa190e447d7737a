package straceio

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// endNamed takes a call that succeeded and names files.
func (p *parser) endNamed(c *systemCall) error {
	kind, at := strings.CutSuffix(strings.TrimSuffix(c.name, "2"), "at")
	if c.name == "creat" {
		kind, at = "open", false
	}
	first := 0
	switch {
	case kind == "symlink":
		first = len(c.args) - 1 // the argument before it is text
	case at:
		first = 1
	}
	name, inside, err := p.name(c, first, at)
	if err != nil {
		return err
	}
	to, toInside := "", false
	if kind == "rename" || kind == "link" {
		if to, toInside, err = p.name(c, first+1+first, at); err != nil {
			return err
		}
		if inside != toInside {
			return fmt.Errorf("%s between the directory and another is not understood", c.name)
		}
	}
	if !inside {
		p.opened(c, nil)
		return nil
	}
	switch kind {
	case "open":
		return p.openNamed(c, name, c.arg(first+1))
	case "link":
		p.names[to] = p.names[name]
		p.record(simfs.Op{Kind: simfs.Link, Name: to, File: p.names[name].id})
	case "rename":
		p.record(simfs.Op{Kind: simfs.Rename, Name: name, To: to, File: p.names[name].id})
		p.names[to] = p.names[name]
		delete(p.names, name)
	case "unlink":
		if f := p.names[name]; !f.marks {
			p.record(simfs.Op{Kind: simfs.Unlink, Name: name, File: f.id})
		}
		delete(p.names, name)
	default:
		return fmt.Errorf("%s in the directory is not understood", c.name)
	}
	return nil
}

// name returns the name of the i-th argument in the directory, "." for the directory
// itself, and whether the argument is in the directory.
func (p *parser) name(c *systemCall, i int, at bool) (name string, inside bool, err error) {
	raw, err := c.bytes(i)
	if err != nil {
		return "", false, err
	}
	path := string(raw)
	if !filepath.IsAbs(path) && at && c.arg(i-1) != "AT_FDCWD" {
		fd, err := c.number(i - 1)
		if err != nil {
			return "", false, err
		}
		if d := p.open[fd]; d == nil || d.file != nil {
			return "", false, nil // in another directory
		}
		path = filepath.Join(p.dir, path)
	}
	name, err = filepath.Rel(p.dir, path)
	if err != nil || name == ".." || strings.HasPrefix(name, "../") {
		return "", false, nil // a relative path is in another directory, since the directory's path is absolute
	}
	if strings.Contains(name, "/") {
		return "", false, fmt.Errorf("%s: a directory in the directory is not understood", name)
	}
	return name, true, nil
}

// openNamed takes a call that opened a file of the directory.
func (p *parser) openNamed(c *systemCall, name, flags string) error {
	if c.name == "openat2" {
		return fmt.Errorf("openat2 in the directory is not understood")
	}
	if name == "." {
		p.opened(c, &descriptor{})
		return nil
	}
	has := func(flag string) bool { return strings.Contains("|"+flags+"|", "|"+flag+"|") }
	f := p.names[name]
	if f == nil {
		f = &file{marks: name == simfs.MarksName}
		p.names[name] = f
		if !f.marks {
			f.id = p.next
			p.next++
			p.record(simfs.Op{Kind: simfs.Create, Name: name, File: f.id})
		}
	} else if (has("O_TRUNC") || c.name == "creat") && !f.marks && f.size > 0 {
		f.size = 0
		p.record(simfs.Op{Kind: simfs.Truncate, File: f.id})
	}
	p.opened(c, &descriptor{file: f, append: has("O_APPEND")})
	return nil
}

// opened notes the meaning of a new descriptor; nil means that it is not of the
// directory.
func (p *parser) opened(c *systemCall, d *descriptor) {
	switch {
	case !strings.HasPrefix(c.name, "open") && c.name != "creat":
	case d == nil:
		delete(p.open, c.result)
	default:
		p.open[c.result] = d
	}
}
