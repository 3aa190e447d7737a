// Command release cuts a version of the modules of this repository.
//
//	go run ./internal/release cut v0.1.0   # in a clean clone, at its root
//	go run ./internal/release try          # changes nothing
//
// Cut dates the changelog, commits it, and tags the commit for the root module. In the
// tree, a nested module requires the other modules of the repository through relative
// replace directives; an importer ignores them, and go install refuses them. So each
// nested module gets a commit beside the branch, in which its go.mod requires the version
// that is being cut, and a tag of its own. Modules below a directory named internal are
// not released. All is done in a clone, and brought here when nothing has failed; nothing
// is pushed.
//
// Try cuts a version of the files as they are, and of a nested module added to them, in
// a repository that is removed afterwards. Then it uses that version as a user does, from a
// module proxy of files: it runs the program of the README in an empty directory, and
// installs the program of the nested module.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const usage = "usage: release cut VERSION | release try"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	switch {
	case len(args) == 2 && args[0] == "cut":
		return cutHere(here, scratch, args[1], time.Now())
	case len(args) == 1 && args[0] == "try":
		return try(here, scratch)
	}
	return errors.New(usage)
}

// cutHere cuts a version in a clone of the repository, and brings branch and tags here.
func cutHere(here, scratch, version string, now time.Time) error {
	origin := place{dir: here}
	changes, err := origin.run("git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changes != "" {
		return fmt.Errorf("the work tree has changes that are not committed:\n%s", changes)
	}
	branch, err := origin.run("git", "symbolic-ref", "--short", "HEAD")
	if err != nil {
		return err
	}
	clone := filepath.Join(scratch, "clone")
	if _, err := origin.run("git", "clone", "--quiet", "--branch", branch, here, clone); err != nil {
		return err
	}
	for _, key := range []string{"user.name", "user.email"} {
		value, err := origin.run("git", "config", key)
		if err != nil {
			return err
		}
		if _, err := (place{dir: clone}).run("git", "config", key, value); err != nil {
			return err
		}
	}
	tags, err := cut(clone, filepath.Join(scratch, "proxy"), version, now)
	if err != nil {
		return err
	}
	if _, err := origin.run("git", "pull", "--quiet", "--ff-only", clone, branch); err != nil {
		return err
	}
	fetch := []string{"git", "fetch", "--quiet", "--no-tags", clone}
	for _, tag := range tags {
		fetch = append(fetch, "refs/tags/"+tag+":refs/tags/"+tag)
	}
	if _, err := origin.run(fetch...); err != nil {
		return err
	}
	fmt.Printf("cut. Publish it with\n\n\tgit push --atomic origin %s %s\n", branch, strings.Join(tags, " "))
	return nil
}
