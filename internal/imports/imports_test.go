package imports_test

import (
	"errors"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/yore-es/yore"

// allowed lists, for each package, what it may import besides the standard library.
// Packages of this module are named by their path in it.
var allowed = map[string][]string{
	".":                    {},
	"eventstore":           {"github.com/google/uuid", "internal/given", "internal/quote", "internal/reserved"},
	"eventstore/memstore":  {"eventstore", "internal/rows", "github.com/google/uuid"},
	"eventstore/boltstore": {"eventstore", "internal/backup", "internal/guardmemo", "internal/ids", "internal/index", "internal/jsonl", "internal/logbuild", "internal/logfile", "internal/pages", "internal/progress", "internal/record", "internal/rows", "internal/salvage", "internal/verify", "internal/viewfile", "github.com/google/uuid", "go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},
	"eventstore/storetest": {"eventstore", "github.com/google/uuid"},
	"codec":                {"internal/payload", "internal/quote", "internal/reserved"},
	"codec/codectest":      {"codec"},
	"codec/doctor":         {"codec", "eventstore", "internal/given"},
	"aggregate":            {"eventstore", "codec", "fold", "internal/flat", "internal/given", "internal/hook", "internal/payload", "internal/quote", "internal/reserved", "internal/vocabulary"},
	"aggregate/aggtest":    {"aggregate", "codec", "eventstore", "eventstore/memstore", "internal/flat"},
	"fold":                 {"eventstore", "codec", "internal/given", "internal/vocabulary"},
	"projection":           {"eventstore", "codec", "fold", "internal/given", "internal/payload", "internal/progress", "internal/quote", "internal/reserved", "internal/rows", "internal/vocabulary", "github.com/google/uuid"},
	"command":              {"aggregate", "eventstore", "internal/hook", "internal/quote", "internal/reserved"},
	"examples/boundaries":  {"eventstore", "eventstore/boltstore", "codec", "fold", "aggregate"},
	"examples/cart":        {"examples/cart/cart", "eventstore", "eventstore/boltstore", "eventstore/memstore", "codec", "fold", "aggregate", "projection", "command"},
	"examples/cart/cart":   {"eventstore", "codec", "fold", "aggregate", "projection", "command"},
	"examples/quickstart":  {"eventstore/boltstore", "codec", "aggregate"},
	"examples/server":      {"examples/cart/cart", "eventstore", "eventstore/boltstore", "aggregate", "projection", "command"},
	"examples/tutorial":    {"eventstore", "eventstore/boltstore", "codec", "fold", "aggregate", "projection", "command"},
	"internal/bench":       {"codec", "eventstore", "eventstore/boltstore", "fold", "internal/record", "projection", "github.com/google/uuid", "go.etcd.io/bbolt"},
	"internal/flat":        {},
	"internal/given":       {},
	"internal/guardmemo":   {"eventstore"},
	"internal/howto":       {},
	"internal/hook":        {},
	"internal/ids":         {"github.com/google/uuid"},
	"internal/imports":     {},
	"internal/killtest":    {},
	"internal/index":       {"eventstore", "internal/pages", "internal/record"},
	"internal/lengths":     {},
	"internal/pages":       {"go.etcd.io/bbolt"},
	"internal/payload":     {"internal/quote"},
	"internal/prose":       {},
	"internal/quote":       {},
	"internal/reserved":    {"internal/quote"},
	"internal/release":     {},
	"internal/surface":     {},
	"internal/record":      {"eventstore", "github.com/google/uuid"},
	"internal/rows":        {"eventstore"},
	"internal/progress":    {"eventstore"},
	"internal/vocabulary":  {"codec", "eventstore"},

	// The floors below boltstore.
	"internal/logfile":  {"eventstore", "internal/index", "internal/pages", "internal/record", "github.com/google/uuid", "go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"},
	"internal/viewfile": {"eventstore", "internal/logfile", "internal/pages", "internal/record"},
	"internal/logbuild": {"eventstore", "internal/index", "internal/logfile", "internal/pages", "internal/record", "internal/viewfile", "github.com/google/uuid", "go.etcd.io/bbolt"},
	"internal/jsonl":    {"eventstore", "internal/quote", "internal/record", "github.com/google/uuid"},
	"internal/backup":   {"eventstore", "internal/logfile", "internal/pages", "internal/record", "github.com/google/uuid"},
	"internal/salvage":  {"eventstore", "internal/logbuild", "internal/logfile", "internal/pages", "internal/record", "github.com/google/uuid"},
	"internal/verify":   {"eventstore", "internal/index", "internal/logfile", "internal/pages", "internal/record", "internal/viewfile"},

	"examples/boundaries/todo": {"eventstore/memstore", "codec", "fold", "aggregate", "command"},
}

// allowedInTests lists the modules that tests may import besides. Tests may import
// any package of this module.
var allowedInTests = []string{"github.com/stretchr/testify", "github.com/google/uuid", "go.etcd.io/bbolt"}

func TestPackages_ImportOnlyWhatTheyMay(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if skipped(root, dir, entry.Name()) {
			return filepath.SkipDir
		}
		pkg, err := build.ImportDir(dir, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			return nil
		}
		require.NoError(t, err)
		name, err := filepath.Rel(root, dir)
		require.NoError(t, err)
		name = filepath.ToSlash(name)
		seen[name] = true
		checkPackage(t, name, pkg)
		return nil
	})
	require.NoError(t, err)
	for name := range allowed {
		require.True(t, seen[name], "package %s is in the list but not in the module", name)
	}
}

// skipped reports whether the directory has no packages of this module.
func skipped(root, dir, name string) bool {
	if dir == root {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil || name == "testdata" || strings.HasPrefix(name, ".")
}

func checkPackage(t *testing.T, name string, pkg *build.Package) {
	list, listed := allowed[name]
	if !listed {
		t.Errorf("package %s is not in the list: say there what it may import", name)
	}
	for _, imported := range pkg.Imports {
		if !standard(imported) && !slices.Contains(list, strings.TrimPrefix(imported, module+"/")) {
			t.Errorf("package %s must not import %s", name, imported)
		}
	}
	for _, imported := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
		if !standard(imported) && !inModule(imported, module) && !slices.ContainsFunc(allowedInTests, func(m string) bool { return inModule(imported, m) }) {
			t.Errorf("the tests of package %s must not import %s", name, imported)
		}
	}
}

// standard reports whether a package is of the standard library: the first element
// of any other path has a dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func inModule(imported, module string) bool {
	return imported == module || strings.HasPrefix(imported, module+"/")
}

func TestModule_RequiresThreeModules(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	require.NoError(t, err)
	var direct []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") && strings.Contains(path.Dir(fields[0]), ".") {
			direct = append(direct, fields[0])
		}
	}
	require.ElementsMatch(t, []string{"github.com/google/uuid", "github.com/stretchr/testify", "go.etcd.io/bbolt"}, direct)
}

// The package at the root is documentation and nothing else: it names each package that
// users import, and has no other file and no declaration.
func TestRoot_IsTheMapOfThePackages(t *testing.T) {
	root := filepath.Join("..", "..")
	pkg, err := build.ImportDir(root, 0)
	require.NoError(t, err)
	require.Equal(t, "yore", pkg.Name)
	require.Equal(t, []string{"doc.go"}, slices.Concat(pkg.GoFiles, pkg.IgnoredGoFiles, pkg.TestGoFiles, pkg.XTestGoFiles))
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "doc.go"), nil, parser.ParseComments)
	require.NoError(t, err)
	require.Empty(t, file.Decls)
	for name := range allowed {
		if name != "." && !strings.HasPrefix(name, "examples/") && !strings.HasPrefix(name, "internal/") && !strings.Contains(file.Doc.Text(), name) {
			t.Errorf("doc.go does not name package %s", name)
		}
	}
}

// The architecture page has a line for every package of the module, except the root, the
// examples, and packages below one that has a line.
func TestArchitecture_NamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "explanation", "architecture.md"))
	require.NoError(t, err)
	for name := range allowed {
		if name != "." && !strings.HasPrefix(name, "examples/") && !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), "`"+path.Base(name)+"`") {
			t.Errorf("docs/explanation/architecture.md does not name package %s", name)
		}
	}
}
