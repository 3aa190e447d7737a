package surface_test

import (
	"flag"
	"fmt"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/api anew")

// TestAPI_IsAsWritten compares what each public package exports with the text that is kept
// of it, so that no change of the surface goes unseen.
func TestAPI_IsAsWritten(t *testing.T) {
	l := newLoader(t)
	dir := filepath.Join("testdata", "api")
	written := texts(t, dir)
	for _, path := range l.paths(isPublic) {
		pkg, err := l.Import(path)
		require.NoError(t, err)
		lines := describe(pkg)
		if len(lines) == 0 {
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(path, module+"/"))+".txt")
		text := strings.Join(lines, "\n") + "\n"
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
		} else if written[name] != text {
			t.Errorf("%s exports another API than %s says:\n%s", path, name, compare(written[name], text))
		}
		delete(written, name)
	}
	for name := range written {
		if *update {
			require.NoError(t, os.Remove(name))
		} else {
			t.Errorf("%s is of no package", name)
		}
	}
	if t.Failed() {
		t.Log("if that is meant: go test ./internal/surface -update")
	}
}

// texts returns the files below a directory by their names.
func texts(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		all[name] = string(content)
		return err
	})
	if !*update {
		require.NoError(t, err)
	}
	return all
}

// compare shows the lines that only one of two sorted texts has.
func compare(before, after string) string {
	var difference strings.Builder
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range old {
		if !slices.Contains(now, line) {
			fmt.Fprintln(&difference, "-", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			fmt.Fprintln(&difference, "+", line)
		}
	}
	return difference.String()
}

// describe returns a line for each exported constant, variable, function, type, method and
// field of a package, sorted.
func describe(pkg *types.Package) []string {
	qualify := func(other *types.Package) string {
		if other == pkg {
			return ""
		}
		return other.Name()
	}
	var lines []string
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		line := types.ObjectString(object, qualify)
		switch object := object.(type) {
		case *types.Const:
			line += " = " + object.Val().ExactString()
		case *types.TypeName:
			line = "type " + shape(object, qualify)
			lines = append(lines, members(object, qualify)...)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// shape returns the kind of a type, without its fields and methods, which have their own
// lines.
func shape(object *types.TypeName, qualify types.Qualifier) string {
	name := object.Name()
	if object.IsAlias() {
		return name + " = " + types.TypeString(types.Unalias(object.Type()), qualify)
	}
	if named, ok := object.Type().(*types.Named); ok {
		name += parameters(named.TypeParams(), qualify)
	}
	switch under := object.Type().Underlying().(type) {
	case *types.Struct:
		return name + " struct"
	case *types.Interface:
		return name + " interface"
	default:
		return name + " " + types.TypeString(under, qualify)
	}
}

func parameters(list *types.TypeParamList, qualify types.Qualifier) string {
	if list.Len() == 0 {
		return ""
	}
	var names []string
	for i := range list.Len() {
		p := list.At(i)
		names = append(names, p.Obj().Name()+" "+types.TypeString(p.Constraint(), qualify))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// members returns the lines of a type's fields and methods, those of unexported fields that
// are embedded in it too.
func members(object *types.TypeName, qualify types.Qualifier) []string {
	var lines []string
	each := func(kind, member, what string) {
		lines = append(lines, fmt.Sprintf("%s %s.%s %s", kind, object.Name(), member, what))
	}
	for _, f := range fields(object.Type()) {
		embedded := ""
		if f.Embedded() {
			embedded = " (embedded)"
		}
		each("field", f.Name(), types.TypeString(f.Type(), qualify)+embedded)
	}
	for _, m := range methods(object.Type()) {
		signature := strings.TrimPrefix(types.TypeString(m.Type(), qualify), "func")
		receiver := ""
		if _, pointer := m.Signature().Recv().Type().(*types.Pointer); pointer {
			receiver = " of a pointer"
		}
		lines = append(lines, fmt.Sprintf("method %s.%s%s%s", object.Name(), m.Name(), signature, receiver))
	}
	return lines
}

// fields returns the exported fields of a struct, and those that it has from unexported
// ones.
func fields(t types.Type) []*types.Var {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	var all []*types.Var
	for f := range s.Fields() {
		if f.Exported() {
			all = append(all, f)
		} else if f.Embedded() {
			all = append(all, fields(f.Type())...)
		}
	}
	return all
}

// methods returns the exported methods of a type and of a pointer to it.
func methods(t types.Type) []*types.Func {
	if !types.IsInterface(t) {
		t = types.NewPointer(t)
	}
	var all []*types.Func
	for selection := range types.NewMethodSet(t).Methods() {
		if m := selection.Obj().(*types.Func); m.Exported() {
			all = append(all, m)
		}
	}
	return all
}
