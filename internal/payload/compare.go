package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/quote"
)

// Change is a part of a value that is read as another one than was written.
type Change struct {
	// Path is the part, such as ".Lines[2].Name"; "" for the whole value.
	Path string
	// Written and Read describe the two values.
	Written, Read string
	// Rule is what the part must be; "" if there is no more to say.
	Rule string
}

// Error implements error.
func (c *Change) Error() string {
	text := fmt.Sprintf("its %s is %s and would be read back as %s", strings.TrimPrefix(c.Path, "."), c.Written, c.Read)
	if c.Path == "" {
		text = fmt.Sprintf("it is %s and would be read back as %s", c.Written, c.Read)
	}
	if c.Rule != "" {
		text += ": " + c.Rule
	}
	return text
}

func (c *Change) at(path string) *Change {
	if c != nil {
		c.Path = path + c.Path
	}
	return c
}

// comparer returns a part of a written value that differs from the one that was read, or nil.
// A nil comparer stands for one that always returns nil.
type comparer func(written, read reflect.Value) *Change

// comparerOf returns the comparer of a type.
func comparerOf(t reflect.Type) comparer {
	b := comparers{known: make(map[reflect.Type]*comparer), changes: make(map[reflect.Type]bool)}
	return b.of(t)
}

// comparers are the comparers of a type and of its parts.
type comparers struct {
	known   map[reflect.Type]*comparer
	changes map[reflect.Type]bool
}

// of returns the comparer of a type. A part that is of the type again finds the comparer at
// the time when it compares.
func (b *comparers) of(t reflect.Type) comparer {
	if at, begun := b.known[t]; begun {
		if *at != nil {
			return *at
		}
		return func(written, read reflect.Value) *Change {
			if *at == nil {
				return nil
			}
			return (*at)(written, read)
		}
	}
	at := new(comparer)
	b.known[t] = at
	*at = b.build(t)
	return *at
}

func (b *comparers) build(t reflect.Type) comparer {
	switch {
	case t == timeType:
		return compareTimes
	case t.Kind() != reflect.Pointer && hasOwn(t):
		return compareOwn
	}
	switch t.Kind() {
	case reflect.String:
		return compareText
	case reflect.Interface:
		return compareAny
	case reflect.Pointer:
		return comparePointers(b.of(t.Elem()))
	case reflect.Slice, reflect.Array:
		if elem := b.of(t.Elem()); elem != nil {
			return compareElements(elem)
		}
	case reflect.Map:
		return b.maps(t)
	case reflect.Struct:
		return b.structs(t)
	}
	return nil
}

func compareText(written, read reflect.Value) *Change {
	if written.String() == read.String() {
		return nil
	}
	return &Change{Written: quote.Name(written.String()), Read: quote.Name(read.String()), Rule: "text must be UTF-8"}
}

func compareTimes(written, read reflect.Value) *Change {
	w, r := written.Interface().(time.Time), read.Interface().(time.Time)
	if w.Equal(r) {
		return nil
	}
	return &Change{Written: w.String(), Read: r.String(), Rule: "the offset of a time's zone must be whole minutes"}
}

// compareOwn compares values of a type with its own JSON.
func compareOwn(written, read reflect.Value) *Change {
	if written.Comparable() && written.Equal(read) {
		return nil
	}
	w, wErr := json.Marshal(pointed(written))
	r, rErr := json.Marshal(pointed(read))
	if wErr == nil && rErr == nil && bytes.Equal(w, r) {
		return nil
	}
	return &Change{Written: describe(w, wErr), Read: describe(r, rErr)}
}

// pointed returns a pointer to a value if there can be one, as encoding/json calls methods.
func pointed(v reflect.Value) any {
	if v.CanAddr() {
		return v.Addr().Interface()
	}
	return v.Interface()
}

func describe(data []byte, err error) string {
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return quote.Text(string(data))
}

// compareAny compares what is in an any: the value that is read is of another type if the
// written one is not one that JSON has.
func compareAny(written, read reflect.Value) *Change {
	if written.IsNil() {
		return nil
	}
	w, r := written.Elem(), read.Elem()
	if r.IsValid() && w.Type() == r.Type() {
		return dynamic(w.Type()).compare(w, r)
	}
	d := dynamic(w.Type())
	if len(d.faults) > 0 {
		return &Change{Written: "a " + w.Type().String(), Read: jsonText(r), Rule: strings.Join(d.faults, "; ")}
	}
	if w.Kind() == reflect.String && r.IsValid() && r.Kind() == reflect.String && !hasOwn(w.Type()) {
		return compareText(w, r)
	}
	if was, is := jsonText(w), jsonText(r); was != is {
		return &Change{Written: was, Read: is}
	}
	return nil
}

// jsonText returns the JSON of a value in a form that does not depend on the order of fields.
func jsonText(v reflect.Value) string {
	if !v.IsValid() {
		return "null"
	}
	data, err := json.Marshal(v.Interface())
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	generic, err := For[any]().Decode(data)
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	if data, err = json.Marshal(generic); err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return string(data)
}

// dynamicType is what is known of a type that a value in an any had.
type dynamicType struct {
	compare comparer
	faults  []string
}

var dynamicTypes sync.Map // reflect.Type to *dynamicType: as many as the program has types

func dynamic(t reflect.Type) *dynamicType {
	if known, ok := dynamicTypes.Load(t); ok {
		return known.(*dynamicType)
	}
	d := &dynamicType{compare: comparerOf(t), faults: newChecker(writing).check(t)}
	if d.compare == nil {
		d.compare = func(reflect.Value, reflect.Value) *Change { return nil }
	}
	dynamicTypes.Store(t, d)
	return d
}

func comparePointers(elem comparer) comparer {
	return func(written, read reflect.Value) *Change {
		switch {
		case written.IsNil():
			return nil
		case read.IsNil() && written.Elem().IsZero():
			return nil
		case read.IsNil():
			return &Change{Written: "a " + written.Type().String(), Read: "nil"}
		case elem == nil:
			return nil
		default:
			return elem(written.Elem(), read.Elem())
		}
	}
}

func compareElements(elem comparer) comparer {
	return func(written, read reflect.Value) *Change {
		if written.Len() != read.Len() {
			return &Change{Written: fmt.Sprintf("of %d elements", written.Len()), Read: fmt.Sprintf("one of %d", read.Len())}
		}
		for i := range written.Len() {
			if c := elem(written.Index(i), read.Index(i)); c != nil {
				return c.at(fmt.Sprintf("[%d]", i))
			}
		}
		return nil
	}
}

func (b *comparers) maps(t reflect.Type) comparer {
	key, elem := t.Key(), b.of(t.Elem())
	if key.Kind() != reflect.String && encodedKey(key) == byKind && decodedKey(key) == byKind && elem == nil {
		return nil
	}
	byKey := encodedKey(key) == byKind && decodedKey(key) == byKind
	return func(written, read reflect.Value) *Change {
		if written.Len() == 0 {
			return nil
		}
		if !byKey { // equal keys may not be identical, like times
			if written.Len() == read.Len() {
				return compareOwn(written, read)
			}
			return &Change{Written: fmt.Sprintf("of %d keys", written.Len()), Read: fmt.Sprintf("one of %d", read.Len())}
		}
		for entries := written.MapRange(); entries.Next(); {
			path := fmt.Sprintf("[%s]", keyText(entries.Key()))
			found := read.MapIndex(entries.Key())
			if !found.IsValid() {
				return &Change{Path: path, Written: "there", Read: "missing", Rule: "text must be UTF-8"}
			}
			if elem != nil {
				if c := elem(entries.Value(), found); c != nil {
					return c.at(path)
				}
			}
		}
		return nil
	}
}

func keyText(key reflect.Value) string {
	if key.Kind() == reflect.String {
		return quote.Name(key.String())
	}
	return fmt.Sprint(key.Interface())
}

func (b *comparers) structs(t reflect.Type) comparer {
	type part struct {
		index   int
		name    string
		compare comparer
	}
	var parts []part
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		embeds := f.Anonymous && f.Type.Kind() == reflect.Struct
		if tag == "-" || f.Name == "_" || !f.IsExported() && !embeds {
			continue
		}
		if compare := b.of(f.Type); compare != nil {
			parts = append(parts, part{i, "." + f.Name, compare})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return func(written, read reflect.Value) *Change {
		for i := range parts {
			p := &parts[i]
			if c := p.compare(written.Field(p.index), read.Field(p.index)); c != nil {
				return c.at(p.name)
			}
		}
		return nil
	}
}

// survey is what a type has in it.
type survey struct {
	own  bool // a type with its own JSON, other than time.Time
	any  bool
	seen map[reflect.Type]bool
}

func newSurvey(t reflect.Type) *survey {
	s := &survey{seen: make(map[reflect.Type]bool)}
	s.visit(t)
	return s
}

func (s *survey) visit(t reflect.Type) {
	if s.seen[t] || t == timeType {
		return
	}
	s.seen[t] = true
	s.own = s.own || t.Kind() != reflect.Pointer && hasOwn(t)
	switch t.Kind() {
	case reflect.Interface:
		s.any = true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.visit(t.Elem())
	case reflect.Map:
		s.visit(t.Key())
		s.visit(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			s.visit(t.Field(i).Type)
		}
	}
}
