package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const root = "github.com/yore-es/yore"

// files are a repository with modules that require each other: sink requires the root,
// cmd/tool requires both, and a module below internal requires all.
var files = map[string]string{
	"CHANGELOG.md":          first,
	"go.mod":                "module " + root + "\n\ngo 1.25.0\n",
	"log/log.go":            "package log\n",
	"sink/go.mod":           "module " + root + "/sink\n\ngo 1.25.0\n\nrequire " + root + " v0.0.0\n\nreplace " + root + " => ..\n",
	"sink/sink.go":          "package sink\n\nimport _ \"" + root + "/log\"\n",
	"cmd/tool/go.mod":       "module " + root + "/cmd/tool\n\ngo 1.25.0\n\nrequire (\n\t" + root + " v0.0.0\n\t" + root + "/sink v0.0.0\n)\n\nreplace (\n\t" + root + " => ../..\n\t" + root + "/sink => ../../sink\n)\n",
	"cmd/tool/main.go":      "package main\n\nimport _ \"" + root + "/sink\"\n\nfunc main() {}\n",
	"internal/proof/go.mod": "module " + root + "/internal/proof\n\ngo 1.25.0\n\nrequire " + root + "/sink v0.0.0\n\nreplace " + root + "/sink => ../../sink\n",
	"log/testdata/go.mod":   "module example.org/other\n",
}

// repository makes a repository of files and returns its directory.
func repository(t *testing.T, changes map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	all := maps.Clone(files)
	maps.Copy(all, changes)
	source := t.TempDir()
	for name, text := range all {
		dir := filepath.Join(source, filepath.FromSlash(filepath.Dir(name)))
		require.NoError(t, writeFiles(dir, map[string]string{filepath.Base(name): text}))
	}
	dir := filepath.Join(t.TempDir(), "repository")
	require.NoError(t, snapshot(source, dir))
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := place{dir: dir}.run(append([]string{"git"}, args...)...)
	require.NoError(t, err)
	return out
}

func TestCutHere(t *testing.T) {
	dir := repository(t, nil)
	before := git(t, dir, "rev-parse", "main")
	now := time.Date(2026, time.December, 1, 23, 0, 0, 0, time.UTC)
	require.NoError(t, cutHere(dir, t.TempDir(), "v0.1.0", now))

	require.Equal(t, before, git(t, dir, "rev-parse", "main~1"))
	require.Equal(t, git(t, dir, "rev-parse", "main"), git(t, dir, "rev-parse", "v0.1.0^{commit}"))
	require.Equal(t, strings.TrimSpace(strings.ReplaceAll(firstCut, "example.org/yore", root)), git(t, dir, "show", "main:CHANGELOG.md"))
	require.Equal(t, "CHANGELOG.md", git(t, dir, "diff", "--name-only", "main~1", "main"), "the branch keeps the replace directives")
	require.Empty(t, git(t, dir, "status", "--porcelain"))
	require.Equal(t, []string{"cmd/tool/v0.1.0", "sink/v0.1.0", "v0.1.0"}, strings.Fields(git(t, dir, "tag", "--list")))

	sink := git(t, dir, "show", "sink/v0.1.0:sink/go.mod")
	require.Equal(t, "module "+root+"/sink\n\ngo 1.25.0\n\nrequire "+root+" v0.1.0", sink)
	require.Equal(t, "sink/go.mod\nsink/go.sum", git(t, dir, "diff", "--name-only", "main", "sink/v0.1.0"))
	tool := git(t, dir, "show", "cmd/tool/v0.1.0:cmd/tool/go.mod")
	require.Contains(t, tool, root+"/sink v0.1.0")
	require.NotContains(t, tool, "replace")
	sums := git(t, dir, "show", "cmd/tool/v0.1.0:cmd/tool/go.sum")
	require.Contains(t, sums, root+"/sink v0.1.0 h1:")
	require.Contains(t, sums, root+" v0.1.0 h1:")
}

// A cut that fails leaves the repository as it was.
func TestCutHere_Fails(t *testing.T) {
	for name, test := range map[string]struct {
		file, text string
		says       string
	}{
		"a module that does not compile": {"cmd/tool/main.go", "package main\n\nfunc main() { undefined() }\n", "undefined"},
		"a replaced module of others":    {"sink/go.mod", files["sink/go.mod"] + "\nreplace example.org/other => ../log/testdata\n", "replaces [example.org/other]"},
		"modules in a circle":            {"sink/go.mod", strings.ReplaceAll(files["sink/go.mod"], root+" ", root+"/cmd/tool "), "require each other"},
		"a module that is not released":  {"sink/go.mod", strings.ReplaceAll(files["sink/go.mod"], root+" ", root+"/internal/proof "), "not released"},
		"a module of another name":       {"sink/go.mod", "module " + root + "/source\n", "not " + root + "/sink"},
		"nothing to say":                 {"CHANGELOG.md", firstCut, "disk format"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t, map[string]string{test.file: test.text})
			before := git(t, dir, "rev-parse", "main")
			require.ErrorContains(t, cutHere(dir, t.TempDir(), "v0.1.0", time.Now()), test.says)
			require.Equal(t, before, git(t, dir, "rev-parse", "main"))
			require.Empty(t, git(t, dir, "tag", "--list"))
			require.Empty(t, git(t, dir, "status", "--porcelain"))
		})
	}
}

func TestCutHere_RefusesChangesThatAreNotCommitted(t *testing.T) {
	dir := repository(t, nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new.go"), []byte("package yore\n"), 0o644))
	require.ErrorContains(t, cutHere(dir, t.TempDir(), "v0.1.0", time.Now()), "new.go")
}

func TestModule_Released(t *testing.T) {
	all, err := readModules(repository(t, nil))
	require.NoError(t, err)
	require.Len(t, all, 4, "those below testdata are not of the repository")
	require.Equal(t, root, all[0].path)
	ordered, err := inOrder(all)
	require.NoError(t, err)
	var tags []string
	for _, m := range ordered {
		tags = append(tags, m.tag("v0.1.0"))
	}
	require.Equal(t, []string{"v0.1.0", "sink/v0.1.0", "cmd/tool/v0.1.0"}, tags)
	require.True(t, slices.ContainsFunc(all, func(m module) bool { return m.dir == "internal/proof" && !m.released() }))
}

func TestReadmeProgram(t *testing.T) {
	dir := t.TempDir()
	_, err := readmeProgram(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	readme := "# Yore\n\n```go\nstore.Append()\n```\n\n```go\npackage main\n\nfunc main() {}\n```\n"
	require.NoError(t, writeFiles(dir, map[string]string{"README.md": readme}))
	program, err := readmeProgram(dir)
	require.NoError(t, err)
	require.Equal(t, "package main\n\nfunc main() {}\n", program)
	require.NoError(t, writeFiles(dir, map[string]string{"README.md": "```go\npackage main\n"}))
	_, err = readmeProgram(dir)
	require.ErrorContains(t, err, "no program")
}
