package surface_test

import (
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestErrors_AreInTheCatalogue compares the errors that the public packages export, which
// are variables named Err… and types named …Error, with the tables of
// docs/reference/errors.md.
func TestErrors_AreInTheCatalogue(t *testing.T) {
	l := newLoader(t)
	exported := make(map[string][]string)
	for _, path := range l.paths(isPublic) {
		pkg, err := l.Import(path)
		require.NoError(t, err)
		if names := errorsOf(pkg); len(names) > 0 {
			exported[strings.TrimPrefix(path, module+"/")] = names
		}
	}
	page, err := os.ReadFile(filepath.Join(l.root, "docs", "reference", "errors.md"))
	require.NoError(t, err)
	listed := catalogue(t, string(page))
	require.ElementsMatch(t, slices.Collect(maps.Keys(exported)), slices.Collect(maps.Keys(listed)), "the packages that export errors")
	for name, want := range exported {
		require.ElementsMatch(t, want, listed[name], "the errors of %s", name)
	}
}

// errorsOf returns the names of the errors that a package exports, those of types with a
// star.
func errorsOf(pkg *types.Package) []string {
	failure := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	var names []string
	for _, name := range pkg.Scope().Names() {
		switch object := pkg.Scope().Lookup(name).(type) {
		case *types.Var:
			if strings.HasPrefix(name, "Err") && types.Implements(object.Type(), failure) {
				names = append(names, name)
			}
		case *types.TypeName:
			if object.Exported() && strings.HasSuffix(name, "Error") && types.Implements(types.NewPointer(object.Type()), failure) {
				names = append(names, "*"+name)
			}
		}
	}
	return names
}

// catalogue returns the names in the first column of each table, by the heading above it.
// Each row says when the error comes, what to do, and the HTTP status.
func catalogue(t *testing.T, page string) map[string][]string {
	t.Helper()
	listed := make(map[string][]string)
	heading := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if name, found := strings.CutPrefix(line, "## "); found {
			heading = name
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, cells, 4, line)
		for _, cell := range cells {
			require.NotEmpty(t, strings.TrimSpace(cell), line)
		}
		listed[heading] = append(listed[heading], strings.Trim(strings.TrimSpace(cells[0]), "`"))
	}
	return listed
}
