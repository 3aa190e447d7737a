package aggregate

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/yore-es/yore/internal/payload"
)

// CommandDigest returns the default digest of a command: 32 bytes that identify its Go type,
// by its name with that of its package, and its content. The content is that of the command's
// JSON, of unexported fields too, without the fields that are zero: so a field that a deploy
// adds changes no digest, and neither does the order of the fields. A field with the tag
// json:"-" does not count. Times are taken as instants. Numbers, text, lists and maps are taken
// as they are, also if their type has a MarshalJSON of its own, and structs with one by their
// JSON. What an interface holds is identified by its type, too, if that has a name. A pointer
// to a command is that command.
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
	d.text(v.Type().String())
	if err := d.value(accessible(v), 0); err != nil {
		return nil, fmt.Errorf("digest of a %v: %w", v.Type(), err)
	}
	sum := sha256.Sum256(d.Bytes())
	return sum[:], nil
}

// NoDigest is a function for [Options].Digest that tells no two commands apart: a command id
// that was used for another command of the same aggregates, or for any other decision, is then
// answered as a repeat.
func NoDigest(any) ([]byte, error) { return nil, nil }

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

var errDeep = errors.New("it is nested too deep, or refers to itself")

func (d *digester) text(s string) { d.WriteString(strconv.Quote(s)) }

// value writes a value that is accessible.
func (d *digester) value(v reflect.Value, depth int) error {
	if depth > maxDepth {
		return errDeep
	}
	switch v.Kind() {
	case reflect.Bool:
		fmt.Fprintf(d, "%t", v.Bool())
	case reflect.String:
		if n, ok := v.Interface().(json.Number); ok {
			d.jsonNumber(n)
			return nil
		}
		d.text(v.String())
	case reflect.Interface, reflect.Pointer:
		return d.pointed(v, depth)
	case reflect.Slice, reflect.Array:
		return d.list(v, depth)
	case reflect.Map:
		return d.entries(v, depth)
	case reflect.Struct:
		return d.structure(v, depth)
	default:
		return d.number(v)
	}
	return nil
}

// pointed writes what a pointer or an interface holds.
func (d *digester) pointed(v reflect.Value, depth int) error {
	if v.IsNil() {
		d.WriteString("null")
		return nil
	}
	if held := v.Elem().Type(); v.Kind() == reflect.Interface && held.PkgPath() != "" && held != reflect.TypeFor[json.Number]() {
		d.WriteString(held.String()) // two types with one content are not the same
	}
	return d.value(accessible(v.Elem()), depth+1)
}

// number writes numbers so that equal ones of different types have one text, as in JSON.
func (d *digester) number(v reflect.Value) error {
	switch {
	case v.CanInt():
		d.WriteString(strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		d.WriteString(strconv.FormatUint(v.Uint(), 10))
	case v.CanFloat():
		d.float(v.Float())
	case v.CanComplex():
		fmt.Fprint(d, v.Complex())
	default:
		return fmt.Errorf("it has a %v, which cannot be compared", v.Type())
	}
	return nil
}

func (d *digester) float(f float64) {
	if f == math.Trunc(f) && math.Abs(f) < 1e300 {
		whole, _ := big.NewFloat(f).Int(nil)
		d.WriteString(whole.String())
		return
	}
	d.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
}

func (d *digester) jsonNumber(n json.Number) {
	if whole, ok := new(big.Int).SetString(string(n), 10); ok && len(n) < 1_000 {
		d.WriteString(whole.String())
	} else if f, err := n.Float64(); err == nil {
		d.float(f)
	} else {
		d.text(string(n))
	}
}

func (d *digester) list(v reflect.Value, depth int) error {
	switch {
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		var compact bytes.Buffer
		if v.Len() > 0 && json.Compact(&compact, v.Bytes()) == nil {
			d.Write(compact.Bytes())
			return nil
		}
		fallthrough
	case v.Type().Elem().Kind() == reflect.Uint8:
		d.WriteString(`"` + base64.StdEncoding.EncodeToString(v.Bytes()) + `"`)
		return nil
	}
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
	slices.SortFunc(all, func(a, b member) int {
		return strings.Compare(a.name+"\x00"+a.value, b.name+"\x00"+b.value)
	})
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
		name := key.String()
		if unquoted, quoted := strings.CutPrefix(name, `"`); quoted { // JSON has text for all keys, numbers too
			name = strings.TrimSuffix(unquoted, `"`)
		}
		all = append(all, member{name, value.String()})
	}
	d.members(all)
	return nil
}

// structure writes a struct by its own JSON, if it has that, or by its fields.
func (d *digester) structure(v reflect.Value, depth int) error {
	if at, ok := v.Interface().(time.Time); ok {
		d.text(at.UTC().Format(time.RFC3339Nano))
		return nil
	}
	if payload.Own(v.Type()) {
		if data, ok := ownJSON(v); ok {
			d.Write(data)
			return nil
		}
	}
	var all []member
	fields, names := fieldsOf(v, "", nil, make(map[string]int))
	for _, f := range fields {
		if names[f.name] > 1 { // JSON stores one of them, or none
			f.name += " " + f.path
		}
		if empty(f.value) {
			continue
		}
		var value digester
		if err := value.value(f.value, depth+1); errors.Is(err, errDeep) {
			return err
		} else if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		all = append(all, member{f.name, value.String()})
	}
	d.members(all)
	return nil
}

// ownJSON returns the JSON of a struct with a MarshalJSON or the like, if it is the same each
// time: that of a set may not be.
func ownJSON(v reflect.Value) (data []byte, ok bool) {
	data, err := json.Marshal(v.Addr().Interface())
	again, againErr := json.Marshal(v.Addr().Interface())
	return data, err == nil && againErr == nil && bytes.Equal(data, again)
}

// commandPart is a field of a struct in a command.
type commandPart struct {
	name, path string
	value      reflect.Value
}

// fieldsOf adds the fields of a struct, those of embedded structs as its own, and how many
// there are of each name.
func fieldsOf(v reflect.Value, path string, all []commandPart, names map[string]int) ([]commandPart, map[string]int) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), accessible(v.Field(i))
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" || f.Name == "_" {
			continue
		}
		inner := field
		if f.Anonymous && name == "" && inner.Kind() == reflect.Pointer && !inner.IsNil() {
			inner = accessible(inner.Elem())
		}
		if f.Anonymous && name == "" && inner.Kind() == reflect.Struct && !payload.Own(inner.Type()) && len(path) < maxDepth {
			all, names = fieldsOf(inner, path+f.Name+".", all, names)
			continue
		}
		if name == "" {
			name = f.Name
		}
		if !f.IsExported() {
			name = "." + f.Name
		}
		names[name]++
		all = append(all, commandPart{name, path + f.Name, field})
	}
	return all, names
}

// empty reports whether a field is left out: it is zero, or its own IsZero or JSON says what
// that of the zero value says.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0 || v.Type() == reflect.TypeFor[json.RawMessage]() && string(v.Bytes()) == "null"
	}
	if v.IsZero() || v.Kind() != reflect.Struct {
		return v.IsZero()
	}
	if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	if !payload.Own(v.Type()) {
		return false
	}
	data, ok := ownJSON(v)
	zero, zeroOK := ownJSON(reflect.New(v.Type()).Elem())
	return ok && zeroOK && bytes.Equal(data, zero)
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
