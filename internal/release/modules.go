package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A module is a module of the repository.
type module struct {
	dir      string // relative to the root of the repository, with slashes; "." for the root
	path     string
	goes     string   // the version of Go that it needs
	requires []string // the paths of what it requires
	replaces []string // the paths of what it replaces
}

// released reports whether the module gets versions: nothing outside the repository can
// import a package below a directory named internal.
func (m module) released() bool { return !slices.Contains(strings.Split(m.dir, "/"), "internal") }

// tag returns the name that the go command expects of the tag of a version.
func (m module) tag(version string) string { return path.Join(m.dir, version) }

// readModules returns the modules of a clone, the root first.
func readModules(clone string) ([]module, error) {
	files, err := place{dir: clone}.run("git", "ls-files", ":(glob)**/go.mod", ":(exclude,glob)**/testdata/**")
	if err != nil {
		return nil, err
	}
	var all []module
	for file := range strings.Lines(files) {
		m, err := readModule(clone, path.Dir(strings.TrimSpace(file)))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	for _, m := range all {
		if want := path.Join(all[0].path, m.dir); m.path != want {
			return nil, fmt.Errorf("the module in %s is named %s, not %s", m.dir, m.path, want)
		}
	}
	return all, nil
}

func readModule(clone, dir string) (module, error) {
	text, err := place{dir: filepath.Join(clone, filepath.FromSlash(dir))}.run("go", "mod", "edit", "-json")
	if err != nil {
		return module{}, err
	}
	var file struct {
		Module  struct{ Path string }
		Go      string
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		return module{}, err
	}
	m := module{dir: dir, path: file.Module.Path, goes: file.Go}
	for _, r := range file.Require {
		m.requires = append(m.requires, r.Path)
	}
	for _, r := range file.Replace {
		m.replaces = append(m.replaces, r.Old.Path)
	}
	return m, nil
}

// inOrder returns the released modules so that each comes after those that it requires,
// each with only the requirements that are modules of the repository.
func inOrder(all []module) ([]module, error) {
	waiting := make(map[string]module)
	ours := make(map[string]bool)
	for _, m := range all {
		ours[m.path] = true
		if m.released() {
			waiting[m.path] = m
		}
	}
	var ordered []module
	done := make(map[string]bool)
	for len(waiting) > 0 {
		before := len(ordered)
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			m := waiting[name]
			m.requires = slices.DeleteFunc(slices.Clone(m.requires), func(r string) bool { return !ours[r] })
			if slices.ContainsFunc(m.requires, func(r string) bool { return !done[r] }) {
				continue
			}
			ordered = append(ordered, m)
			done[name] = true
			delete(waiting, name)
		}
		if len(ordered) == before {
			return nil, fmt.Errorf("modules %v require each other, or one that is not released", slices.Sorted(maps.Keys(waiting)))
		}
	}
	return ordered, nil
}
