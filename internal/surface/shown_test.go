package surface_test

import (
	"go/ast"
	"go/doc"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNames_AreShown looks for each exported name of the public packages in what users are
// shown: the packages below examples/, and the Example functions whose output is compared,
// with all that they call in the tests of their package.
//
//   - A type is shown where it is named, and where an expression has it.
//   - A method that implements one of a public interface is one with it: a call of either
//     shows both.
//   - Methods that the language or the standard library calls (Error, Is, Unwrap, String and
//     their like) need no example.
//   - testdata/exempt.txt says of others why they need none.
func TestNames_AreShown(t *testing.T) {
	l := newLoader(t)
	var packages []*types.Package
	for _, path := range l.paths(isPublic) {
		pkg, err := l.Import(path)
		require.NoError(t, err)
		packages = append(packages, pkg)
	}
	names := inventory(l.fset, packages)
	shown := newShown(l.fset)
	for _, path := range l.paths(isPublic) {
		for _, c := range l.tested(path) {
			shown.addExamples(c)
		}
	}
	for _, path := range l.paths(isExample) {
		for _, c := range l.tested(path) {
			for _, file := range c.files {
				shown.add(c, file)
			}
		}
	}
	unshown := unshownNames(names, alike(l.fset, packages), shown.places)
	exempt := exemptions(t)
	unshown = slices.DeleteFunc(unshown, func(name string) bool { return exempt.covers(name) })
	exempt.requireNeeded(t)

	for _, name := range unshown {
		t.Errorf("no example shows %s: show it below examples/ or in an Example whose output is compared, or do not export it", name)
	}
}

// place is where a name is declared: what a name and its uses have in common, however often
// its package is type-checked.
type place string

func placeOf(fset *token.FileSet, object types.Object) place {
	return place(fset.Position(object.Pos()).String())
}

// called are methods that others call than users.
var called = []string{"Error", "Is", "As", "Unwrap", "String", "LogValue", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText"}

// inventory returns the exported names of packages by the places where they are declared.
func inventory(fset *token.FileSet, packages []*types.Package) map[place]string {
	names := make(map[place]string)
	for _, pkg := range packages {
		prefix := strings.TrimPrefix(pkg.Path(), module+"/") + "."
		for _, name := range pkg.Scope().Names() {
			object := pkg.Scope().Lookup(name)
			if !object.Exported() {
				continue
			}
			names[placeOf(fset, object)] = prefix + name
			if _, isType := object.(*types.TypeName); !isType {
				continue
			}
			for _, f := range fields(object.Type()) {
				names[placeOf(fset, f)] = prefix + name + "." + f.Name()
			}
			for _, m := range methods(object.Type()) {
				if m.Pkg() == pkg && !slices.Contains(called, m.Name()) {
					names[placeOf(fset, m)] = prefix + name + "." + m.Name()
				}
			}
		}
	}
	return names
}

// alike returns for each method that implements one of a public interface the places of
// that method in the interfaces, and the other way round.
func alike(fset *token.FileSet, packages []*types.Package) map[place][]place {
	same := make(map[place][]place)
	var interfaces, others []types.Type
	for _, pkg := range packages {
		for _, name := range pkg.Scope().Names() {
			object, isType := pkg.Scope().Lookup(name).(*types.TypeName)
			switch {
			case !isType || !object.Exported():
			case types.IsInterface(object.Type()):
				interfaces = append(interfaces, object.Type())
			default:
				others = append(others, types.NewPointer(object.Type()))
			}
		}
	}
	for _, i := range interfaces {
		for _, t := range others {
			if !types.Implements(t, i.Underlying().(*types.Interface)) {
				continue
			}
			for _, of := range methods(i) {
				object, _, _ := types.LookupFieldOrMethod(t, false, of.Pkg(), of.Name())
				a, b := placeOf(fset, of), placeOf(fset, object)
				same[a], same[b] = append(same[a], b), append(same[b], a)
			}
		}
	}
	return same
}

// unshownNames returns the names whose places are not among the shown ones, sorted.
func unshownNames(names map[place]string, same map[place][]place, shown map[place]bool) []string {
	seen := maps.Clone(shown)
	var spread func(p place)
	spread = func(p place) {
		for _, other := range same[p] {
			if !seen[other] {
				seen[other] = true
				spread(other)
			}
		}
	}
	for p := range shown {
		spread(p)
	}
	var unshown []string
	for p, name := range names {
		if !seen[p] {
			unshown = append(unshown, name)
		}
	}
	slices.Sort(unshown)
	return unshown
}

// shown collects the places that are used in code that users are shown.
type shown struct {
	fset   *token.FileSet
	places map[place]bool
}

func newShown(fset *token.FileSet) *shown { return &shown{fset: fset, places: make(map[place]bool)} }

// addExamples adds the Example functions of a package whose output is compared, and what
// they use of the tests of the package, again and again.
func (s *shown) addExamples(c checked) {
	declared := make(map[types.Object][]ast.Node)
	for _, file := range c.files {
		if !strings.HasSuffix(s.fset.Position(file.Pos()).Filename, "_test.go") {
			continue
		}
		for _, declaration := range file.Decls {
			for object, node := range declarations(c, declaration) {
				declared[object] = append(declared[object], node)
			}
		}
	}
	done := make(map[ast.Node]bool)
	var reach func(node ast.Node)
	reach = func(node ast.Node) {
		if done[node] {
			return
		}
		done[node] = true
		s.add(c, node)
		ast.Inspect(node, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok {
				for _, used := range declared[c.Uses[ident]] {
					reach(used)
				}
			}
			return true
		})
	}
	for _, example := range doc.Examples(c.files...) {
		if example.Output != "" || example.EmptyOutput {
			reach(example.Code)
		}
	}
}

// declarations returns what a declaration declares: a method is one of its type.
func declarations(c checked, declaration ast.Decl) map[types.Object]ast.Node {
	declared := make(map[types.Object]ast.Node)
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			declared[c.Defs[d.Name]] = d
			break
		}
		ast.Inspect(d.Recv, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok && c.Uses[ident] != nil {
				declared[c.Uses[ident]] = d
			}
			return true
		})
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				declared[c.Defs[spec.Name]] = spec
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					declared[c.Defs[name]] = spec
				}
			}
		}
	}
	return declared
}
