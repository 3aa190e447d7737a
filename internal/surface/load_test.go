package surface_test

import (
	"errors"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/yore-es/yore"

// loader parses and type-checks packages from their source, each once.
type loader struct {
	t        *testing.T
	root     string
	fset     *token.FileSet
	standard types.Importer
	packages map[string]*types.Package
}

func newLoader(t *testing.T) *loader {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	build.Default.CgoEnabled = false // the standard library without its C
	fset := token.NewFileSet()
	return &loader{
		t: t, root: root, fset: fset,
		standard: importer.ForCompiler(fset, "source", nil),
		packages: make(map[string]*types.Package),
	}
}

// Import returns a package without the bodies of its functions. It implements
// [types.Importer].
func (l *loader) Import(path string) (*types.Package, error) {
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") {
		return l.standard.Import(path)
	}
	if pkg, ok := l.packages[path]; ok {
		return pkg, nil
	}
	dir, err := l.dir(path)
	if err != nil {
		return nil, err
	}
	source, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	conf := types.Config{Importer: l, IgnoreFuncBodies: true}
	pkg, err := conf.Check(path, l.fset, l.parse(dir, source.GoFiles), nil)
	l.packages[path] = pkg
	return pkg, err
}

// dir returns where the source of a package is that is not of the standard library.
func (l *loader) dir(path string) (string, error) {
	if rest, own := strings.CutPrefix(path, module); own {
		return filepath.Join(l.root, filepath.FromSlash(rest)), nil
	}
	found, err := build.Import(path, l.root, build.FindOnly)
	return found.Dir, err
}

func (l *loader) parse(dir string, names []string) []*ast.File {
	l.t.Helper()
	files := make([]*ast.File, len(names))
	for i, name := range names {
		file, err := parser.ParseFile(l.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(l.t, err)
		files[i] = file
	}
	return files
}

// checked is a package with the bodies of its functions.
type checked struct {
	*types.Info
	files []*ast.File
}

// check type-checks files as a package of their own. It ignores errors: external tests may
// use what the tests inside the package declare, which is not there. A name whose use was
// not understood counts as not shown, so an error can hide no name.
func (l *loader) check(path string, files []*ast.File) checked {
	info := &types.Info{
		Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object),
		Types: make(map[ast.Expr]types.TypeAndValue), Selections: make(map[*ast.SelectorExpr]*types.Selection),
	}
	conf := types.Config{Importer: l, Error: func(error) {}}
	_, _ = conf.Check(path, l.fset, files, info)
	return checked{Info: info, files: files}
}

// tested returns a package with its tests, and that of its external tests if there are any.
func (l *loader) tested(path string) []checked {
	l.t.Helper()
	dir, err := l.dir(path)
	require.NoError(l.t, err)
	source, err := build.ImportDir(dir, 0)
	require.NoError(l.t, err)
	all := []checked{l.check(path, append(l.parse(dir, source.GoFiles), l.parse(dir, source.TestGoFiles)...))}
	if len(source.XTestGoFiles) > 0 {
		all = append(all, l.check(path+"_test", l.parse(dir, source.XTestGoFiles)))
	}
	return all
}

// paths returns the import paths of the module's packages in wanted directories.
func (l *loader) paths(wanted func(dir string) bool) []string {
	l.t.Helper()
	var paths []string
	err := filepath.WalkDir(l.root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if dir != l.root && skipped(dir, entry.Name()) {
			return filepath.SkipDir
		}
		name, err := filepath.Rel(l.root, dir)
		if name = filepath.ToSlash(name); err != nil || !wanted(name) {
			return err
		}
		_, err = build.ImportDir(dir, 0)
		if none := (*build.NoGoError)(nil); errors.As(err, &none) {
			return nil
		}
		paths = append(paths, path.Join(module, name))
		return err
	})
	require.NoError(l.t, err)
	return paths
}

// skipped reports whether a directory holds no packages of this module.
func skipped(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".")
}

// isPublic reports whether a package is one that users of the module import.
func isPublic(dir string) bool {
	return !isExample(dir) && !within(dir, "internal") && !within(dir, "cmd")
}

func isExample(dir string) bool { return within(dir, "examples") }

func within(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }
