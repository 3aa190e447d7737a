package surface_test

import (
	"go/ast"
	"go/parser"
	"go/types"
	"testing"

	"github.com/stretchr/testify/require"
)

// source type-checks a file of a package that is nowhere but here.
func source(t *testing.T, l *loader, path, name, text string) (*types.Package, checked) {
	t.Helper()
	file, err := parser.ParseFile(l.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	conf := types.Config{Importer: l}
	pkg, err := conf.Check(path, l.fset, []*ast.File{file}, nil)
	require.NoError(t, err)
	l.packages[path] = pkg
	return pkg, l.check(path, []*ast.File{file})
}

const things = `package things

import "errors"

const Limit, hidden = 255, 1

var ErrGone = errors.New("gone")

type Thing struct {
	Name string
	parts
	size int
}

type parts struct{ First, second int }

func (*parts) Count() int { return 0 }

func (t Thing) String() string { return "" }
func (t *Thing) Grow(by int) error { return nil }
func (t *Thing) shrink() {}

type Keeper[T any] interface {
	Keep(T) error
	private()
}

type Store interface{ Close() error }

type Memory struct{}

func (*Memory) Close() error { return nil }

type Number uint64

type Old = Number

func New[T any](name string, from ...T) (*Thing, error) { return nil, nil }
`

func TestDescribe(t *testing.T) {
	pkg, _ := source(t, newLoader(t), module+"/things", "things.go", things)
	require.Equal(t, []string{
		`const Limit untyped int = 255`,
		`field Thing.First int`,
		`field Thing.Name string`,
		`func New[T any](name string, from ...T) (*Thing, error)`,
		`method Keeper.Keep(T) error`,
		`method Memory.Close() error of a pointer`,
		`method Store.Close() error`,
		`method Thing.Count() int of a pointer`,
		`method Thing.Grow(by int) error of a pointer`,
		`method Thing.String() string`,
		`type Keeper[T any] interface`,
		`type Memory struct`,
		`type Number uint64`,
		`type Old = Number`,
		`type Store interface`,
		`type Thing struct`,
		`var ErrGone error`,
	}, describe(pkg))
}

func TestCompare(t *testing.T) {
	require.Empty(t, compare("a\nb\n", "a\nb\n"))
	require.Equal(t, "- b\n+ c\n", compare("a\nb\n", "a\nc\n"))
	require.Equal(t, "+ a\n", compare("", "a\n"))
}

const uses = `package things_test

import "example.org/things"

type wrapped struct{ *things.Memory }

func (w wrapped) use() { _ = things.Thing{Name: "1"}.First }

func helper() wrapped { return wrapped{} }

func unreached() { _ = things.ErrGone }

func ExampleNew() {
	_ = helper()
	// Output:
}

func ExampleOther() { // has no output to compare
	var s things.Store
	_ = s.Close()
	_ = things.Limit
}
`

// A name is shown if an example reaches it.
func TestShown(t *testing.T) {
	l := newLoader(t)
	pkg, _ := source(t, l, "example.org/things", "things.go", things)
	_, inside := source(t, l, "example.org/things_test", "example_test.go", uses)
	s := newShown(l.fset)
	s.addExamples(inside)
	packages := []*types.Package{pkg}
	names := inventory(l.fset, packages)
	same := alike(l.fset, packages)
	prefix := "example.org/things."
	require.Equal(t, []string{
		prefix + "ErrGone", prefix + "Keeper", prefix + "Keeper.Keep", prefix + "Limit", prefix + "Memory.Close", prefix + "New",
		prefix + "Number", prefix + "Old", prefix + "Store", prefix + "Store.Close", prefix + "Thing.Count", prefix + "Thing.Grow",
	}, unshownNames(names, same, s.places))

	s.add(inside, inside.files[0])
	unshown := unshownNames(names, same, s.places)
	require.NotContains(t, unshown, prefix+"Store.Close")
	require.NotContains(t, unshown, prefix+"Memory.Close", "it implements the one that is called")
	require.NotContains(t, unshown, prefix+"Limit")
	require.Contains(t, unshown, prefix+"New")
}

func TestExemptions(t *testing.T) {
	list := exemptionList{{name: "things.Thing"}, {name: "things.Thing.*"}, {name: "things.Other"}}
	require.True(t, list.covers("things.Thing"))
	require.True(t, list.covers("things.Thing.Name"))
	require.False(t, list.covers("things.Things"))
	require.False(t, list.covers("things.New"))
	require.True(t, list[0].needed && list[1].needed)
	require.False(t, list[2].needed)
}
