package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A place is a directory and an environment to run commands in.
type place struct {
	dir string
	env []string // added to the environment of this process
}

// run runs a command and returns its output, trimmed.
func (p place) run(command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ofGitHook), p.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// ofGitHook reports whether a variable would lead git to another repository than that of
// the directory, as in a hook.
func ofGitHook(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == "GIT_DIR" || name == "GIT_WORK_TREE" || name == "GIT_INDEX_FILE"
}

// fromProxy returns the environment in which the go command finds the repository's
// modules in the proxy, and all others where it is configured to find them.
func fromProxy(proxy, modules, root string) ([]string, error) {
	configured, err := place{}.run("go", "env", "GOPROXY")
	if err != nil {
		return nil, err
	}
	return []string{
		"GOWORK=off",
		"GOMODCACHE=" + modules,
		"GOPROXY=" + fileURL(filepath.Join(proxy, "cache", "download")) + "," + configured,
		"GONOSUMDB=" + root,
		"GOVCS=*:off",
		"GOFLAGS=-mod=mod -modcacherw",
	}, nil
}

// addToProxy adds the tagged version of a module to the proxy, which is a module cache:
// the go command makes there what it would make of the public repository.
func addToProxy(proxy, clone, root, module, version string) error {
	_, err := place{dir: proxy, env: []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=url." + fileURL(clone) + ".insteadOf",
		"GIT_CONFIG_VALUE_0=https://" + root,
		"GOWORK=off",
		"GOMODCACHE=" + proxy,
		"GOPROXY=direct",
		"GONOSUMDB=" + root,
		"GOFLAGS=-modcacherw",
	}}.run("go", "mod", "download", module+"@"+version)
	return err
}

func fileURL(dir string) string {
	return "file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/")
}
