package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// nestedDir is where try puts its nested module.
const nestedDir = "release-try"

// try cuts a version of the files in a directory and uses it as a user does.
func try(here, scratch string) error {
	program, err := readmeProgram(here)
	if err != nil {
		return err
	}
	clone, proxy := filepath.Join(scratch, "clone"), filepath.Join(scratch, "proxy")
	if err := snapshot(here, clone); err != nil {
		return err
	}
	version, err := prepare(clone, program)
	if err != nil {
		return err
	}
	tags, err := cut(clone, proxy, version, time.Now())
	if err != nil {
		return err
	}
	fmt.Println("cut", strings.Join(tags, " "))
	root, err := readModule(clone, ".")
	if err != nil {
		return err
	}
	env, err := fromProxy(proxy, filepath.Join(scratch, "modules"), root.path)
	if err != nil {
		return err
	}
	if err := runProgram(filepath.Join(scratch, "shop"), env, program, root.path, version); err != nil {
		return err
	}
	return installNested(filepath.Join(scratch, "install"), env, path.Join(root.path, nestedDir)+"@"+version)
}

// readmeProgram returns the first program that the README shows.
func readmeProgram(here string) (string, error) {
	readme, err := os.ReadFile(filepath.Join(here, "README.md"))
	if err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(string(readme), "```go\npackage main\n")
	program, _, ended := strings.Cut(rest, "```\n")
	if !found || !ended {
		return "", errors.New("README.md shows no program")
	}
	return "package main\n" + program, nil
}

// snapshot makes a repository of the files in a directory that git does not ignore, also
// of those that are not committed.
func snapshot(here, clone string) error {
	if err := os.MkdirAll(clone, 0o755); err != nil {
		return err
	}
	for _, command := range [][]string{
		{"git", "init", "--quiet", "--initial-branch=main"},
		{"git", "config", "user.name", "release"},
		{"git", "config", "user.email", "release@localhost"},
		{"git", "config", "commit.gpgSign", "false"},
		{"git", "config", "tag.gpgSign", "false"},
		{"git", "--work-tree=" + here, "add", "--all", here},
		{"git", "commit", "--quiet", "--message", "the files as they are"},
		{"git", "reset", "--quiet", "--hard"},
	} {
		if _, err := (place{dir: clone}).run(command...); err != nil {
			return err
		}
	}
	return nil
}

// prepare adds to a clone what a version may lack: a nested module with the program, and
// an entry in the changelog. It returns the version to cut.
func prepare(clone, program string) (version string, err error) {
	changelog := filepath.Join(clone, "CHANGELOG.md")
	text, err := os.ReadFile(changelog)
	if err != nil {
		return "", err
	}
	section, err := unreleasedSection(string(text))
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(section) == "" {
		entry := strings.Replace(string(text), unreleased, unreleased+"\n### Disk format\n\n- As before.\n", 1)
		if err := os.WriteFile(changelog, []byte(entry), 0o644); err != nil {
			return "", err
		}
	}
	root, err := readModule(clone, ".")
	if err != nil {
		return "", err
	}
	nested := filepath.Join(clone, nestedDir)
	gomod := fmt.Sprintf("module %[1]s/%[2]s\n\ngo %[3]s\n\nrequire %[1]s v0.0.0\n\nreplace %[1]s => ..\n", root.path, nestedDir, root.goes)
	if err := writeFiles(nested, map[string]string{"go.mod": gomod, "main.go": program}); err != nil {
		return "", err
	}
	if _, err := (place{dir: nested, env: []string{"GOWORK=off"}}).run("go", "mod", "tidy"); err != nil {
		return "", err
	}
	r := release{clone: place{dir: clone}}
	return nextVersions(string(text))[1], r.commit("add a nested module")
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// runProgram does what the README says: it runs the program twice, in an empty directory.
func runProgram(dir string, env []string, program, root, version string) error {
	if err := writeFiles(dir, map[string]string{"main.go": program}); err != nil {
		return err
	}
	user := place{dir: dir, env: env}
	for _, command := range [][]string{{"go", "mod", "init", "shop"}, {"go", "mod", "tidy"}, {"go", "run", "."}, {"go", "run", "."}} {
		output, err := user.run(command...)
		if err != nil {
			return err
		}
		fmt.Printf("$ %s\n%s\n", strings.Join(command, " "), output)
	}
	used, err := user.run("go", "list", "-m", root)
	if err == nil && used != root+" "+version {
		err = fmt.Errorf("the program was built with %s, not with version %s", used, version)
	}
	return err
}

// installNested installs the program of the nested module, and runs it.
func installNested(dir string, env []string, program string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	user := place{dir: dir, env: append(env, "GOBIN="+dir)}
	if _, err := user.run("go", "install", program); err != nil {
		return err
	}
	output, err := user.run(filepath.Join(dir, nestedDir))
	if err != nil {
		return err
	}
	fmt.Printf("$ go install %s\n$ %s\n%s\n", program, nestedDir, output)
	return nil
}
