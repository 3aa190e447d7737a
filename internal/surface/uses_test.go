package surface_test

import (
	"go/ast"
	"go/types"
)

// add adds what a piece of code uses.
func (s *shown) add(c checked, code ast.Node) {
	ast.Inspect(code, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if object := c.Uses[n]; object != nil {
				s.object(object)
			}
		case *ast.SelectorExpr:
			if selection := c.Selections[n]; selection != nil {
				s.path(selection)
			}
		case *ast.CompositeLit:
			s.literal(c, n)
		}
		if expression, ok := n.(ast.Expr); ok {
			s.typeOf(c.Types[expression].Type)
		}
		return true
	})
}

// object adds a name. The methods and fields of generic types are those of their origins.
func (s *shown) object(object types.Object) {
	if object.Pkg() != nil {
		s.places[placeOf(s.fset, object)] = true
	}
}

// path adds the embedded fields through which a field or method was selected.
func (s *shown) path(selection *types.Selection) {
	t := selection.Recv()
	index := selection.Index()
	for _, i := range index[:len(index)-1] {
		if pointer, ok := t.Underlying().(*types.Pointer); ok {
			t = pointer.Elem()
		}
		field := t.Underlying().(*types.Struct).Field(i)
		s.object(field)
		t = field.Type()
	}
}

// literal adds the fields of a struct that is written without their names.
func (s *shown) literal(c checked, literal *ast.CompositeLit) {
	t := c.Types[literal].Type
	if t == nil {
		return
	}
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem() // an element of a list, written without its type
	}
	structure, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, element := range literal.Elts {
		if _, named := element.(*ast.KeyValueExpr); !named {
			s.object(structure.Field(i))
		}
	}
}

// typeOf adds the type of an expression, and those that it is made of.
func (s *shown) typeOf(t types.Type) {
	switch t := t.(type) {
	case *types.Named:
		s.object(t.Obj())
		for argument := range t.TypeArgs().Types() {
			s.typeOf(argument)
		}
	case *types.Alias:
		s.object(t.Obj())
		s.typeOf(types.Unalias(t))
	case *types.Pointer:
		s.typeOf(t.Elem())
	case *types.Slice:
		s.typeOf(t.Elem())
	case *types.Map:
		s.typeOf(t.Key())
		s.typeOf(t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			s.typeOf(v.Type())
		}
	}
}
