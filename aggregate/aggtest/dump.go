package aggtest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// dump returns what a value holds, a line for each leaf: where it is and what it
// is. Two values are taken as the same if their dumps are.
func dump(value any) []string {
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return []string{"nil"}
	}
	d := dumper{above: make(map[any]bool)}
	d.walk("("+v.Type().String()+")", addressable(v))
	return d.lines
}

type dumper struct {
	lines []string
	above map[any]bool // the pointers and maps that are being walked
}

func (d *dumper) leaf(path, text string) { d.lines = append(d.lines, path+": "+text) }

// walk dumps v, which is addressable and was not reached through an unexported
// field.
func (d *dumper) walk(path string, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		d.leaf(path, t.UTC().Format(time.RFC3339Nano))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.reference(path, v, func() { d.walk(path, v.Elem()) })
	case reflect.Interface:
		if v.IsNil() {
			d.leaf(path, "nil")
			return
		}
		d.walk(path+".("+v.Elem().Type().String()+")", addressable(v.Elem()))
	case reflect.Struct:
		d.fields(path, v)
	case reflect.Slice, reflect.Array:
		d.elements(path, v)
	case reflect.Map:
		if v.Len() == 0 {
			d.leaf(path, "empty")
			return
		}
		d.reference(path, v, func() { d.entries(path, v) })
	default:
		d.leaf(path, scalar(v))
	}
}

// reference walks what a pointer or a map refers to, unless it is nil or being
// walked already.
func (d *dumper) reference(path string, v reflect.Value, walk func()) {
	key := [2]any{v.UnsafePointer(), v.Type()}
	switch {
	case v.IsNil():
		d.leaf(path, "nil")
	case d.above[key]:
		d.leaf(path, "cycle")
	default:
		d.above[key] = true
		walk()
		delete(d.above, key)
	}
}

func (d *dumper) fields(path string, v reflect.Value) {
	if v.NumField() == 0 {
		d.leaf(path, "{}")
	}
	for i := range v.NumField() {
		// Through its address, so that unexported fields can be read too.
		field := reflect.NewAt(v.Field(i).Type(), v.Field(i).Addr().UnsafePointer()).Elem()
		d.walk(path+"."+v.Type().Field(i).Name, field)
	}
}

func (d *dumper) elements(path string, v reflect.Value) {
	switch {
	case v.Len() == 0:
		d.leaf(path, "empty")
	case v.Type().Elem().Kind() == reflect.Uint8:
		d.leaf(path, fmt.Sprintf("%x", v.Bytes()))
	default:
		for i := range v.Len() {
			d.walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	}
}

func (d *dumper) entries(path string, v reflect.Value) {
	type entry struct {
		key   string
		value reflect.Value
	}
	var entries []entry
	for it := v.MapRange(); it.Next(); {
		key := fmt.Sprintf("%v", it.Key())
		if it.Key().Kind() == reflect.String {
			key = strconv.Quote(it.Key().String())
		}
		entries = append(entries, entry{key, it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	for _, e := range entries {
		d.walk(path+"["+e.key+"]", addressable(e.value))
	}
}

// scalar returns a value without parts as text, by its kind and not by methods
// of its type, which may leave something out.
func scalar(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case v.CanComplex():
		return fmt.Sprint(v.Complex())
	default: // func, chan, unsafe.Pointer
		return fmt.Sprintf("%v at %x", v.Type(), v.Pointer())
	}
}

// addressable returns a copy of v whose address can be taken.
func addressable(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}
