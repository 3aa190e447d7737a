package payload

import (
	"reflect"
	"strings"
	"unicode"
)

// field is a field of a struct as encoding/json sees it: one of the struct, or of a struct
// that is embedded in it at some depth.
type field struct {
	reflect.StructField
	name        string // in JSON
	tagged      bool   // the name is from a tag
	path        string // from the outer struct
	depth       int
	addressable bool
}

// fields returns the fields of a struct, those of embedded structs included, in the order of
// declaration, and reports fields that encoding/json ignores.
func (c *checker) fields(t reflect.Type, path string, addressable bool) []field {
	var all []field
	within := make(map[reflect.Type]bool)
	var collect func(t reflect.Type, path string, depth int, addressable bool)
	collect = func(t reflect.Type, path string, depth int, addressable bool) {
		if within[t] {
			return
		}
		within[t] = true
		defer delete(within, t)
		for i := range t.NumField() {
			f := field{StructField: t.Field(i), depth: depth, addressable: addressable}
			f.path = path + "." + f.Name
			tag := f.Tag.Get("json")
			if tag == "-" || f.Name == "_" {
				continue
			}
			name, _, _ := strings.Cut(tag, ",")
			f.tagged = validName(name)
			if f.name = name; !f.tagged {
				f.name = f.Name
			}
			elem, pointer := f.Type, f.Type.Kind() == reflect.Pointer
			if pointer {
				elem = elem.Elem()
			}
			embeds := f.Anonymous && elem.Kind() == reflect.Struct
			switch {
			case !f.IsExported() && !embeds:
				c.faultf("an unexported field is not stored; export it or tag it json:\"-\" (%s)", f.path)
			case !f.IsExported() && pointer:
				c.faultf("JSON cannot decode into an embedded pointer to an unexported type (%s)", f.path)
			case embeds && !f.tagged:
				collect(elem, f.path, depth+1, addressable || pointer)
			default:
				all = append(all, f)
			}
		}
	}
	collect(t, path, 0, addressable)
	return all
}

// dominant returns the index of the field, of those with one JSON name, that encoding/json
// stores: the one of the lowest depth, or, of several, the only one with a tag. It is -1 if
// there is no such field.
func dominant(fields []field) int {
	best, several := -1, false
	for i, f := range fields {
		switch {
		case best < 0, f.depth < fields[best].depth, f.depth == fields[best].depth && f.tagged && !fields[best].tagged:
			best, several = i, false
		case f.depth == fields[best].depth && f.tagged == fields[best].tagged:
			several = true
		}
	}
	if several {
		return -1
	}
	return best
}

// collisions reports the fields that encoding/json leaves out because others have their name.
func (c *checker) collisions(fields []field) {
	byName := make(map[string][]field)
	var names []string
	for _, f := range fields {
		if byName[f.name] == nil {
			names = append(names, f.name)
		}
		byName[f.name] = append(byName[f.name], f)
	}
	for _, name := range names {
		same := byName[name]
		stored := dominant(same)
		var paths []string
		for i, f := range same {
			if i != stored {
				paths = append(paths, f.path)
			}
		}
		switch {
		case len(same) == 1:
		case stored < 0:
			c.faultf("several fields have the JSON name %q, so that none is stored (%s)", name, strings.Join(paths, ", "))
		default:
			c.faultf("a field is not stored, because %s has the same JSON name %q (%s)", same[stored].path, name, strings.Join(paths, ", "))
		}
	}
}

// validName reports whether encoding/json takes a name from a tag.
func validName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}
