package codec

import (
	"fmt"
	"reflect"

	"github.com/yore-es/yore/internal/payload"
	"github.com/yore-es/yore/internal/quote"
)

// pair is a stored name and a version of it.
type pair struct {
	name    string
	version uint32
}

func (p pair) String() string { return fmt.Sprintf("%s version %d", quote.Name(p.name), p.version) }

// upcaster converts the events stored under a pair.
type upcaster struct {
	pair
	kind   string // for messages
	faults []string

	// An upcaster of bytes has a target, and a function unless it keeps the bytes.
	to   *pair
	data func(data []byte) ([]byte, error)

	// An upcaster of values finds its targets by the Go types that it makes.
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

// Rename adds an upcaster that reads events stored under one name and version as events
// of another name and version, with the same data.
func Rename(b *Builder, name string, version uint32, toName string, toVersion uint32) {
	b.add(&upcaster{kind: "rename", pair: pair{name, version}, to: &pair{toName, toVersion}})
}

// UpcastJSON adds an upcaster that reads events stored under one name and version as
// events of another name and version, with the data that change returns. The data are one
// JSON value before and after. Change may keep and modify its argument.
func UpcastJSON(b *Builder, name string, version uint32, toName string, toVersion uint32, change func(data []byte) ([]byte, error)) {
	u := &upcaster{kind: "upcast", pair: pair{name, version}, to: &pair{toName, toVersion}, data: change}
	u.faultf(change == nil, "its function is nil")
	b.add(u)
}

// Upcast adds an upcaster that decodes events stored under this name and version into an
// Old, and converts it to a New. Old is any Go type that JSON decodes into, registered or
// not: a struct with the old shape, or map[string]any, whose numbers are json.Numbers, with
// all their digits. New is a registered Go type, or the Old of exactly one other upcaster,
// which is applied next.
//
// Change has no error, because the event has happened: it must accept every Old. If it
// panics, [Registry.DecodeAll] returns an error.
func Upcast[Old, New any](b *Builder, name string, version uint32, change func(Old) New) {
	u := takes[Old]("upcast", name, version)
	u.faultf(change == nil, "its function is nil")
	u.makes = []reflect.Type{reflect.TypeFor[New]()}
	u.values = func(old any) ([]any, error) { return []any{change(as[Old](old))}, nil }
	b.add(u)
}

// Split adds an upcaster that decodes events stored under this name and version into an
// Old, as [Upcast] does, and converts it to the events that split returns, in this order;
// there may be none. Into has a value of each Go type that split may return; only the
// types of these values are used. The rules for New in Upcast apply to each type.
func Split[Old any](b *Builder, name string, version uint32, split func(Old) []any, into ...any) {
	u := takes[Old]("split", name, version)
	u.faultf(split == nil, "its function is nil")
	u.faultf(len(into) == 0, "it names no type that it makes")
	for _, value := range into {
		u.faultf(value == nil, "it names nil among the types that it makes")
		if value != nil {
			u.makes = append(u.makes, reflect.TypeOf(value))
		}
	}
	u.values = func(old any) ([]any, error) { return split(as[Old](old)), nil }
	b.add(u)
}

// Drop adds an upcaster that leaves out the events stored under this name and version.
// Their data are not decoded.
func Drop(b *Builder, name string, version uint32) {
	b.add(&upcaster{kind: "drop", pair: pair{name, version}})
}

func (b *Builder) add(u *upcaster) { b.upcasters = append(b.upcasters, u) }

// takes returns an upcaster that decodes its events into an Old.
func takes[Old any](kind, name string, version uint32) *upcaster {
	t := reflect.TypeFor[Old]()
	u := &upcaster{kind: kind, pair: pair{name, version}, takes: t}
	u.faultf(t.Kind() == reflect.Pointer, "it takes a %v; take a value, not a pointer", t)
	u.faults = append(u.faults, payload.DecodeFaults(t)...)
	decode := decoder(payload.For[Old]())
	u.decode = func(data []byte) (any, error) { return decode(data) }
	return u
}

// as returns the value as a T, and the zero T for nil, which is valid if T is an interface.
func as[T any](value any) T {
	t, _ := value.(T)
	return t
}
