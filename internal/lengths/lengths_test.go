package lengths_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	functionLines = 50
	fileLines     = 500
	packageFiles  = 35 // test files not counted
)

func TestSource_IsWithinTheLimits(t *testing.T) {
	findings, files, err := measure(os.DirFS(filepath.Join("..", "..")))
	require.NoError(t, err)
	require.Greater(t, files, 300, "files measured")
	for _, f := range findings {
		t.Error(f)
	}
}

// TestMeasure_FindsWhatIsTooLong measures a tree with one of each at the limit and
// one beyond it.
func TestMeasure_FindsWhatIsTooLong(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tree := fstest.MapFS{
		"a/function.go":      file("package a\nfunc f() {" + lines(49) + "}\nfunc (t) g() {" + lines(50) + "}\n"),
		"a/literal_test.go":  file("package a\nvar f = func() {" + lines(50) + "}\n"),
		"a/file.go":          file("package a" + lines(500)),
		"nested/go.mod":      file("module nested"),
		"nested/b/file.go":   file("package b" + lines(501)),
		"a/testdata/file.go": file("package b" + lines(501)),
		".hidden/file.go":    file("package b" + lines(501)),
	}
	for i := range 36 {
		tree[fmt.Sprintf("few/%d.go", i/2*2)] = file("package few")
		tree[fmt.Sprintf("few/%d_test.go", i)] = file("package few")
		tree[fmt.Sprintf("many/%d.go", i)] = file("package many")
	}
	findings, files, err := measure(tree)
	require.NoError(t, err)
	require.Equal(t, 4+36+18+36, files)
	require.Equal(t, []string{
		"a/function.go:52: function g has 51 lines, at most 50",
		"a/literal_test.go:2: a function literal has 51 lines, at most 50",
		"nested/b/file.go: the file has 501 lines, at most 500",
		"many: the package has 36 files beside its tests, at most 35",
	}, findings)
	_, _, err = measure(fstest.MapFS{"a.go": file("no Go")})
	require.Error(t, err)
}

// measure returns what is too long in the Go files of a tree, and the number of the
// files. It passes over directories that the go command ignores.
func measure(tree fs.FS) (findings []string, files int, err error) {
	packages := make(map[string]int)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		files++
		if !strings.HasSuffix(name, "_test.go") {
			packages[path.Dir(name)]++
		}
		found, err := measureFile(tree, name)
		findings = append(findings, found...)
		return err
	})
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if n := packages[dir]; n > packageFiles {
			findings = append(findings, fmt.Sprintf("%s: the package has %d files beside its tests, at most %d", dir, n, packageFiles))
		}
	}
	return findings, files, err
}

func measureFile(tree fs.FS, name string) (findings []string, err error) {
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(content, []byte("\n")); n > fileLines {
		findings = append(findings, fmt.Sprintf("%s: the file has %d lines, at most %d", name, n, fileLines))
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.SkipObjectResolution)
	if err != nil {
		return findings, err
	}
	ast.Inspect(file, func(node ast.Node) bool {
		what := "a function literal"
		switch node := node.(type) {
		case *ast.FuncDecl:
			what = "function " + node.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		first, last := set.PositionFor(node.Pos(), false).Line, set.PositionFor(node.End(), false).Line
		if n := last - first + 1; n > functionLines {
			findings = append(findings, fmt.Sprintf("%s:%d: %s has %d lines, at most %d", name, first, what, n, functionLines))
		}
		return true
	})
	return findings, nil
}
