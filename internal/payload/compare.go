package payload

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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
	b := comparers{whole: make(map[reflect.Type]*built), parts: make(map[reflect.Type]*built)}
	return b.of(t)
}

// comparers are the comparers of a type and of its parts: of types as a whole, and of structs
// by their fields.
type comparers struct{ whole, parts map[reflect.Type]*built }

// built is a comparer that is, or is being, built.
type built struct {
	comparer
	done bool
}

// of returns the comparer of a type.
func (b *comparers) of(t reflect.Type) comparer { return known(b.whole, t, b.build) }

// fieldsOf returns the comparer of a struct by its fields, whatever its methods.
func (b *comparers) fieldsOf(t reflect.Type) comparer { return known(b.parts, t, b.structs) }

// known returns the comparer of a type, and builds it if it is asked for the first time. A part
// that is of the type again finds the comparer at the time when it compares.
func known(all map[reflect.Type]*built, t reflect.Type, build func(reflect.Type) comparer) comparer {
	at, begun := all[t]
	switch {
	case !begun:
		at = &built{}
		all[t] = at
		at.comparer, at.done = build(t), true
	case !at.done:
		return func(written, read reflect.Value) *Change {
			if at.comparer == nil {
				return nil
			}
			return at.comparer(written, read)
		}
	}
	return at.comparer
}

func (b *comparers) build(t reflect.Type) comparer {
	switch {
	case t == timeType:
		return compareTimes
	case embedsTime(t):
		return b.fieldsOf(t)
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
		return b.fieldsOf(t)
	}
	return nil
}

func compareText(written, read reflect.Value) *Change {
	if written.String() == read.String() {
		return nil
	}
	change := &Change{Written: quote.Name(written.String()), Read: quote.Name(read.String())}
	if !utf8.ValidString(written.String()) {
		change.Rule = "text must be UTF-8"
	}
	return change
}

func compareTimes(written, read reflect.Value) *Change {
	w, r := written.Interface().(time.Time), read.Interface().(time.Time)
	if w.Equal(r) {
		return nil
	}
	return &Change{Written: w.String(), Read: r.String(), Rule: "the offset of a time's zone must be whole minutes"}
}

// compareOwn compares values of a type with its own JSON. They are the same if they are equal,
// as sets may be whose JSON has another order each time, or if their JSON is, as it is of
// decimals that are held in another form.
func compareOwn(written, read reflect.Value) *Change {
	if reflect.DeepEqual(written.Interface(), read.Interface()) {
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
	if again, ok := reread(w); ok {
		return d.compare(w, again) // what was read as another type is from the same JSON
	}
	if was, is := jsonText(w), jsonText(r); was != is {
		return &Change{Written: was, Read: is}
	}
	return nil
}

// reread returns a value as it is read into its own type, and whether it can be.
func reread(w reflect.Value) (reflect.Value, bool) {
	data, err := json.Marshal(w.Interface())
	if err != nil {
		return reflect.Value{}, false
	}
	again := reflect.New(w.Type())
	return again.Elem(), decodeNumbers(data, again.Interface()) == nil
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
	var generic any
	if err := decodeNumbers(data, &generic); err != nil {
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
	key, elem := b.of(t.Key()), b.of(t.Elem())
	byText := encodedKey(t.Key()) == byText || decodedKey(t.Key()) == byText
	if key == nil && elem == nil && !byText {
		return nil
	}
	return func(written, read reflect.Value) *Change {
		var texts map[string]reflect.Value // the keys that are read, by their text
		if byText {
			texts = make(map[string]reflect.Value)
			for _, k := range read.MapKeys() {
				texts[textOf(k)] = k
			}
		}
		for entries := written.MapRange(); entries.Next(); {
			k := entries.Key()
			if byText { // equal keys may not be identical, as times are not
				k = texts[textOf(k)]
			}
			path := fmt.Sprintf("[%s]", keyText(entries.Key()))
			if !k.IsValid() || !read.MapIndex(k).IsValid() {
				return missing(path, entries.Key())
			}
			if key != nil {
				if c := key(entries.Key(), k); c != nil {
					return c.at(path)
				}
			}
			if elem != nil {
				if c := elem(entries.Value(), read.MapIndex(k)); c != nil {
					return c.at(path)
				}
			}
		}
		if written.Len() != read.Len() {
			return &Change{Written: fmt.Sprintf("of %d keys", written.Len()), Read: fmt.Sprintf("one of %d", read.Len())}
		}
		return nil
	}
}

func missing(path string, key reflect.Value) *Change {
	c := &Change{Path: path, Written: "there", Read: "missing"}
	if key.Kind() == reflect.String && !utf8.ValidString(key.String()) {
		c.Rule = "text must be UTF-8"
	}
	return c
}

// textOf returns the text of a key.
func textOf(key reflect.Value) string {
	if m, ok := key.Interface().(encoding.TextMarshaler); ok && key.Kind() != reflect.String {
		text, err := m.MarshalText()
		return fmt.Sprint(string(text), err)
	}
	return keyText(key)
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
		if compare := b.field(f); compare != nil {
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

// field returns the comparer of a field. encoding/json stores the fields of an embedded struct
// as those of the outer one, whatever methods the embedded one has.
func (b *comparers) field(f reflect.StructField) comparer {
	tag := f.Tag.Get("json")
	name, options, _ := strings.Cut(tag, ",")
	flat := f.Anonymous && !validName(name) && f.Type != timeType
	switch {
	case tag == "-" || f.Name == "_":
		return nil
	case f.Type.Kind() == reflect.Struct && (flat || f.Anonymous && !f.IsExported()):
		return b.fieldsOf(f.Type)
	case flat && f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && f.IsExported():
		return comparePointers(b.fieldsOf(f.Type.Elem()))
	case !f.IsExported():
		return nil
	}
	compare := b.of(f.Type)
	if _, ok := reflect.PointerTo(f.Type).MethodByName("IsZero"); ok && strings.Contains(options, "omitzero") {
		return compareOmitted(compare)
	}
	return compare
}

// compareOmitted compares values that their own IsZero may have left out.
func compareOmitted(compare comparer) comparer {
	return func(written, read reflect.Value) *Change {
		if compare != nil {
			if c := compare(written, read); c != nil || !read.IsZero() {
				return c
			}
		}
		if !read.IsZero() || written.IsZero() || hasOwn(written.Type()) || written.Kind() == reflect.Pointer {
			return nil
		}
		return &Change{Written: jsonText(written), Read: jsonText(read), Rule: "its IsZero, with omitzero, leaves it out"}
	}
}

// survey is what a type has in it.
type survey struct {
	own  bool // a type with its own JSON, other than time.Time
	any  bool
	ring bool // a type within itself, so that its JSON can be deeper than a decoder goes
	seen map[reflect.Type]bool
	open map[reflect.Type]bool
}

func newSurvey(t reflect.Type) *survey {
	s := &survey{seen: make(map[reflect.Type]bool), open: make(map[reflect.Type]bool)}
	s.visit(t)
	return s
}

func (s *survey) visit(t reflect.Type) {
	s.ring = s.ring || s.open[t]
	if s.seen[t] || t == timeType {
		return
	}
	s.seen[t], s.open[t] = true, true
	defer delete(s.open, t)
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
