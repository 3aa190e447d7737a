package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cut makes the commits and the tags of a version in a clone, whose branch then ends in
// the commit of the changelog, and returns the tags, that of the root first. The versions
// are in the proxy, which is a directory that need not exist.
func cut(clone, proxy, version string, now time.Time) ([]string, error) {
	all, err := readModules(clone)
	if err != nil {
		return nil, err
	}
	modules, err := inOrder(all)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(proxy, 0o755); err != nil {
		return nil, err
	}
	r := release{clone: place{dir: clone}, proxy: proxy, root: modules[0].path, version: version}
	if err := r.changelog(now); err != nil {
		return nil, err
	}
	branch, err := r.clone.run("git", "symbolic-ref", "--short", "HEAD")
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, m := range modules {
		if m.dir != "." {
			if err := r.pin(m); err != nil {
				return nil, fmt.Errorf("module %s: %w", m.path, err)
			}
		}
		if err := r.tag(m); err != nil {
			return nil, err
		}
		tags = append(tags, m.tag(version))
	}
	_, err = r.clone.run("git", "checkout", "--quiet", branch)
	return tags, err
}

// A release is a version that is being cut.
type release struct {
	clone   place
	proxy   string
	root    string // the path of the root module
	version string
}

// changelog dates the changelog and commits it.
func (r release) changelog(now time.Time) error {
	file := filepath.Join(r.clone.dir, "CHANGELOG.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	dated, err := cutChangelog(string(text), r.version, now.UTC().Format(time.DateOnly), "https://"+r.root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(dated), 0o644); err != nil {
		return err
	}
	return r.commit("release " + r.version)
}

// commit commits the files of the clone as they are.
func (r release) commit(message string) error {
	if _, err := r.clone.run("git", "add", "--all"); err != nil {
		return err
	}
	_, err := r.clone.run("git", "commit", "--quiet", "--allow-empty", "--message", message)
	return err
}

// pin commits, beside the branch, a nested module that requires the version of the other
// modules instead of the files beside it.
func (r release) pin(m module) error {
	if _, err := r.clone.run("git", "checkout", "--quiet", "--detach"); err != nil {
		return err
	}
	edit := []string{"go", "mod", "edit"}
	for _, required := range m.requires {
		edit = append(edit, "-require="+required+"@"+r.version)
	}
	for _, replaced := range m.replaces {
		if replaced == r.root || strings.HasPrefix(replaced, r.root+"/") {
			edit = append(edit, "-dropreplace="+replaced)
		}
	}
	env, err := fromProxy(r.proxy, r.proxy+"-used", r.root)
	if err != nil {
		return err
	}
	nested := place{dir: filepath.Join(r.clone.dir, filepath.FromSlash(m.dir)), env: env}
	for _, command := range [][]string{edit, {"go", "mod", "tidy"}, {"go", "vet", "./..."}} {
		if _, err := nested.run(command...); err != nil {
			return err
		}
	}
	pinned, err := readModule(r.clone.dir, m.dir)
	if err != nil {
		return err
	}
	if len(pinned.replaces) > 0 {
		return fmt.Errorf("its go.mod replaces %v: a module that does so cannot be installed", pinned.replaces)
	}
	return r.commit("release " + m.tag(r.version))
}

// tag tags the newest commit as the version of a module, and adds that to the proxy.
func (r release) tag(m module) error {
	if _, err := r.clone.run("git", "tag", "--annotate", "--message", m.tag(r.version), m.tag(r.version)); err != nil {
		return err
	}
	return addToProxy(r.proxy, r.clone.dir, r.root, m.path, r.version)
}
