package aggregate

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// CommandDigest returns the default digest of a command: 32 bytes that identify the name of
// its Go type, without the package, and its content. The content is that of the command's
// JSON, of unexported fields too, without the fields that are zero: so a field that a deploy
// adds changes no digest, and neither does the order of the fields. A field with the tag
// json:"-" does not count. Times are taken as instants. A pointer to a command is that
// command.
//
// Its errors are for nil, for a command with a function or a channel, and for one that
// refers to itself.
func CommandDigest(cmd any) ([]byte, error) {
	v := reflect.ValueOf(cmd)
	for v.IsValid() && v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() == reflect.Pointer {
		return nil, errors.New("nil is no command")
	}
	d := digester{}
	d.text(typeName(v.Type()))
	if err := d.value(accessible(v), 0); err != nil {
		return nil, fmt.Errorf("digest of a %v: %w", v.Type(), err)
	}
	sum := sha256.Sum256(d.Bytes())
	return sum[:], nil
}

// NoDigest is a function for [Options].Digest that tells no two commands apart: a command id
// that was used for another command of the same aggregates is then answered as a repeat.
func NoDigest(any) ([]byte, error) { return nil, nil }

// typeName returns the name of a type without its package, which may be moved.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		return t.Name()
	}
	return t.String()
}

// combined returns the digest of a commit for commands on streams; nil if none has a digest.
func combined(targets []target, digests [][]byte) []byte {
	var all []byte
	known := false
	for i, t := range targets {
		for _, part := range [][]byte{[]byte(t.stream), digests[i]} {
			all = append(binary.AppendUvarint(all, uint64(len(part))), part...)
		}
		known = known || len(digests[i]) > 0
	}
	if !known {
		return nil
	}
	sum := sha256.Sum256(all)
	return sum[:]
}

// digester writes a text that two values have in common if their digests must be equal.
type digester struct{ bytes.Buffer }

// maxDepth is how deep a command may be nested. A deeper one is taken to refer to itself.
const maxDepth = 1_000

func (d *digester) text(s string) { d.WriteString(strconv.Quote(s)) }

// value writes a value that is accessible.
func (d *digester) value(v reflect.Value, depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deep, or refers to itself")
	}
	if done, err := d.own(v); done || err != nil {
		return err
	}
	switch v.Kind() {
	case reflect.Bool:
		fmt.Fprintf(d, "%t", v.Bool())
	case reflect.String:
		d.text(v.String())
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			d.WriteString("null")
			return nil
		}
		return d.value(accessible(v.Elem()), depth+1)
	case reflect.Slice, reflect.Array:
		return d.list(v, depth)
	case reflect.Map:
		return d.entries(v, depth)
	case reflect.Struct:
		return d.fields(v, depth)
	default:
		return d.number(v)
	}
	return nil
}

func (d *digester) number(v reflect.Value) error {
	switch {
	case v.CanInt():
		d.WriteString(strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		d.WriteString(strconv.FormatUint(v.Uint(), 10))
	case v.CanFloat():
		d.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case v.CanComplex():
		fmt.Fprint(d, v.Complex())
	default:
		return fmt.Errorf("it has a %v, which cannot be compared", v.Type())
	}
	return nil
}

// own writes a value of a type with its own JSON, and reports whether it is one.
func (d *digester) own(v reflect.Value) (bool, error) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		return false, nil
	}
	switch of := v.Addr().Interface().(type) {
	case *time.Time:
		d.text(of.UTC().Format(time.RFC3339Nano))
		return true, nil
	case json.Marshaler, encoding.TextMarshaler:
		data, err := json.Marshal(of)
		d.Write(data)
		return true, err
	}
	return false, nil
}

func (d *digester) list(v reflect.Value, depth int) error {
	d.WriteByte('[')
	for i := range v.Len() {
		if err := d.value(accessible(v.Index(i)), depth+1); err != nil {
			return err
		}
		d.WriteByte(',')
	}
	d.WriteByte(']')
	return nil
}

// member is a named part of a value, as text.
type member struct{ name, value string }

func (d *digester) members(all []member) {
	slices.SortStableFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	d.WriteByte('{')
	for _, m := range all {
		d.text(m.name)
		d.WriteString(":" + m.value + ",")
	}
	d.WriteByte('}')
}

func (d *digester) entries(v reflect.Value, depth int) error {
	var all []member
	for entries := v.MapRange(); entries.Next(); {
		var key, value digester
		if err := key.value(accessible(entries.Key()), depth+1); err != nil {
			return err
		}
		if err := value.value(accessible(entries.Value()), depth+1); err != nil {
			return err
		}
		all = append(all, member{key.String(), value.String()})
	}
	d.members(all)
	return nil
}

func (d *digester) fields(v reflect.Value, depth int) error {
	all, err := d.collect(nil, v, depth)
	d.members(all)
	return err
}

// collect adds the fields of a struct that are not zero, and those of embedded structs, as
// fields of the outer one.
func (d *digester) collect(all []member, v reflect.Value, depth int) ([]member, error) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), accessible(v.Field(i))
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" || f.Name == "_" || empty(field) {
			continue
		}
		if f.Anonymous && name == "" && field.Kind() == reflect.Struct {
			var value digester
			if own, _ := value.own(field); !own {
				var err error
				if all, err = d.collect(all, field, depth+1); err != nil {
					return all, err
				}
				continue
			}
		}
		if name == "" {
			name = f.Name
		}
		var value digester
		if err := value.value(field, depth+1); err != nil {
			return all, fmt.Errorf("%s: %w", f.Name, err)
		}
		all = append(all, member{name, value.String()})
	}
	return all, nil
}

// empty reports whether a field is left out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// accessible returns a value that has an address and can be read in all its parts, unexported
// ones included: v itself, or a copy.
func accessible(v reflect.Value) reflect.Value {
	if !v.CanAddr() {
		copied := reflect.New(v.Type()).Elem()
		copied.Set(v)
		return copied
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}
