package codec

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/internal/quote"
)

// pair is a stored name and a version of it.
type pair struct {
	name    string
	version uint32
}

func (p pair) String() string { return fmt.Sprintf("%s version %d", quote.Name(p.name), p.version) }

// upcaster says what becomes of the events that were stored under a pair.
type upcaster struct {
	pair
	kind   string // for messages
	faults []string

	// One of bytes is told its target. Nil data leaves them as they are.
	to   *pair
	data func(data []byte) ([]byte, error)

	// One of values finds its targets by the Go types that it makes.
	takes  reflect.Type
	makes  []reflect.Type
	decode func(data []byte) (any, error)
	values func(old any) ([]any, error)
}

func (u *upcaster) String() string { return u.kind + " " + u.pair.String() }

func (u *upcaster) faultf(wrong bool, format string, args ...any) {
	if wrong {
		u.faults = append(u.faults, fmt.Sprintf(format, args...))
	}
}

// Rename says that what is stored under one name and version is read as if it
// were stored under another, its data as they are.
func Rename(b *Builder, name string, version uint32, toName string, toVersion uint32) {
	b.add(&upcaster{kind: "rename", pair: pair{name, version}, to: &pair{toName, toVersion}})
}

// UpcastJSON is [Rename] with a change of the data, a JSON value to which change
// returns another. Change may keep and change what it is given.
func UpcastJSON(b *Builder, name string, version uint32, toName string, toVersion uint32, change func(data []byte) ([]byte, error)) {
	u := &upcaster{kind: "upcast", pair: pair{name, version}, to: &pair{toName, toVersion}, data: change}
	u.faultf(change == nil, "its function is nil")
	b.add(u)
}

// Upcast says that what is stored under this name and version is decoded into an
// Old and changed into a New. Old is any Go type that JSON decodes into,
// registered or not: a struct that has the old shape, or map[string]any. New is
// a registered Go type, or else the Old of one other upcaster, which then goes on
// from there.
//
// There is an answer for every Old: the event has happened. A panic of change is
// an error of [Registry.DecodeAll].
func Upcast[Old, New any](b *Builder, name string, version uint32, change func(Old) New) {
	u := takes[Old]("upcast", name, version)
	u.faultf(change == nil, "its function is nil")
	u.makes = []reflect.Type{reflect.TypeFor[New]()}
	u.values = func(old any) ([]any, error) { return []any{change(as[Old](old))}, nil }
	b.add(u)
}

// Split says that what is stored under this name and version is decoded into an
// Old, as by [Upcast], and stands for several events, in this order; for none, if
// split returns none. Into holds a value of each Go type that split may return,
// which is all that matters of it; each type is one as New is for Upcast.
func Split[Old any](b *Builder, name string, version uint32, split func(Old) []any, into ...any) {
	u := takes[Old]("split", name, version)
	u.faultf(split == nil, "its function is nil")
	u.faultf(len(into) == 0, "it says no type that it makes")
	for _, value := range into {
		u.faultf(value == nil, "it says that it makes a nil")
		if value != nil {
			u.makes = append(u.makes, reflect.TypeOf(value))
		}
	}
	u.values = func(old any) ([]any, error) { return split(as[Old](old)), nil }
	b.add(u)
}

// Drop says that what is stored under this name and version means nothing any
// more: nobody sees it, and its data are not looked at.
func Drop(b *Builder, name string, version uint32) {
	b.add(&upcaster{kind: "drop", pair: pair{name, version}})
}

func (b *Builder) add(u *upcaster) { b.upcasters = append(b.upcasters, u) }

// takes returns an upcaster that decodes into an Old.
func takes[Old any](kind, name string, version uint32) *upcaster {
	t := reflect.TypeFor[Old]()
	u := &upcaster{kind: kind, pair: pair{name, version}, takes: t}
	u.faultf(t.Kind() == reflect.Pointer, "it takes a %v; take a value, not a pointer", t)
	c := checker{seen: make(map[reflect.Type]bool)}
	c.walk(t, t.String())
	u.faults = append(u.faults, c.faults...)
	u.decode = func(data []byte) (any, error) {
		var old Old
		err := json.Unmarshal(data, &old)
		return old, err
	}
	return u
}

// as returns the value as a T; a nil one as the zero T, which is an interface.
func as[T any](value any) T {
	t, _ := value.(T)
	return t
}
