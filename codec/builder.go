package codec

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/yore-es/yore/internal/payload"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
)

// maxName is the limit of a stored name, in bytes: a store's NameBytes.
const maxName = 255

// Builder collects registrations and upcasters. Get one with [NewBuilder]. Fill it with
// [Register], and for events that were stored in the past with [Rename], [Upcast],
// [UpcastJSON], [Split] and [Drop]. It is not safe for concurrent use.
type Builder struct {
	entries   []*entry
	upcasters []*upcaster
}

// Registration binds a stored name and version to a Go type.
type Registration struct {
	// Name is the stored name, such as "cart.item-added".
	Name string
	// Version is the version of the payload's shape, from 1.
	Version uint32
	// Type is the Go type of the values with this name and version.
	Type reflect.Type
	// Tagged is true if the values are stored with tags: there is a [Tags].
	Tagged bool
}

// String returns the registration in words, as in error messages.
func (r Registration) String() string {
	return fmt.Sprintf("%v as %s version %d", r.Type, quote.Name(r.Name), r.Version)
}

// entry is a registration and the functions made for its Go type.
type entry struct {
	Registration
	// encode returns the payload of a value, and the value as it will be read.
	encode func(value any) (data []byte, read any, err error)
	decode func(data []byte) (any, error)
	tags   func(value any) []string // nil if there is none
	faults []string                 // of the options
}

// NewBuilder returns an empty builder.
func NewBuilder() *Builder { return &Builder{} }

// Register registers the Go type E: its values are stored under name and version. [Tags]
// is an option.
//
// A name has 1 to 255 bytes of UTF-8 without NUL and does not begin with "yore.", which is
// for the library's own types. Versions start at 1. A name may have several versions, each
// with its own Go type. A Go type is registered once, by value and not as a pointer, and JSON
// can encode all its parts and decode them again; see the package comment.
// [Builder.Build] reports registrations and options that break a rule.
func Register[E any](b *Builder, name string, version uint32, opts ...RegisterOption) {
	c := payload.For[E]()
	decode := decoder(c)
	e := &entry{
		Registration: Registration{Name: name, Version: version, Type: reflect.TypeFor[E]()},
		encode: func(value any) ([]byte, any, error) {
			data, read, err := c.Reread(value.(E))
			if err == nil && isNull(data) {
				err = errNull
			}
			if err != nil {
				return nil, nil, err
			}
			if changed := c.Change(value.(E), read); changed != nil {
				return nil, nil, changed
			}
			return data, read, nil
		},
		decode: func(data []byte) (any, error) { return decode(data) },
	}
	for _, option := range opts {
		option.apply(e)
	}
	e.Tagged = e.tags != nil
	b.entries = append(b.entries, e)
}

// Build returns a registry of all registrations and upcasters, or an error with all their
// faults, one a line. Each line names the registration, or the name and version that the
// upcaster takes, and the rule.
//
// A name and version is either registered or has one upcaster. The events that an upcaster
// makes are registered or upcast in turn, so every chain of upcasters ends at a
// registration or in [Drop]. A cycle is a fault.
func (b *Builder) Build() (*Registry, error) {
	r := &Registry{
		byType: make(map[reflect.Type]*entry, len(b.entries)),
		byName: make(map[string]map[uint32]*entry, len(b.entries)),
	}
	var faults []error
	for _, e := range b.entries {
		for _, fault := range r.add(e) {
			faults = append(faults, fmt.Errorf("register %v: %s", e.Registration, fault))
		}
	}
	l := link(b.entries, b.upcasters)
	if faults = append(faults, l.faults...); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	r.readers = l.readers()
	r.stored, r.first = l.names()
	return r, nil
}

// add adds the entry to r, or returns its faults.
func (r *Registry) add(e *entry) []string {
	faults := slices.Concat(nameFaults(e.Name, e.Version), e.typeFaults(), e.faults)
	if other, taken := r.byName[e.Name][e.Version]; taken {
		faults = append(faults, fmt.Sprintf("this name and version are registered already, for %v", other.Type))
	}
	if other, taken := r.byType[e.Type]; taken {
		faults = append(faults, fmt.Sprintf("this Go type is registered already, as %s version %d", quote.Name(other.Name), other.Version))
	}
	if len(faults) > 0 {
		return faults
	}
	if r.byName[e.Name] == nil {
		r.byName[e.Name] = make(map[uint32]*entry)
	}
	r.byName[e.Name][e.Version] = e
	r.byType[e.Type] = e
	r.entries = append(r.entries, e)
	return nil
}

func nameFaults(name string, version uint32) []string {
	var faults []string
	switch {
	case name == "":
		faults = append(faults, "the name is empty")
	case len(name) > maxName:
		faults = append(faults, fmt.Sprintf("the name has %d bytes, at most %d", len(name), maxName))
	case strings.IndexByte(name, 0) >= 0:
		faults = append(faults, "the name contains NUL")
	case !utf8.ValidString(name):
		faults = append(faults, "the name is not UTF-8")
	}
	if err := reserved.Type(name); err != nil {
		faults = append(faults, err.Error())
	}
	if version == 0 {
		faults = append(faults, "versions start at 1")
	}
	return faults
}
