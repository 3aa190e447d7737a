package projection

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// The encoding of keys keeps their order. Two keys never have the same bytes, and the bytes
// of one key are never a prefix of those of another, so the bytes of a pair are those of its
// parts, one after the other:
//
//	string     its bytes, NUL as 00 FF, then 00 01
//	unsigned   8 bytes, big-endian
//	signed     the same, with the sign bit flipped
//	uuid       its 16 bytes
//	time       the seconds since 1970 as a signed integer, the nanoseconds in 4 bytes
//	pair       First, Second

// Pair is a key of two parts, ordered by the first, then by the second.
type Pair[A, B comparable] struct {
	First  A
	Second B
}

// PairOf returns the pair of a and b.
func PairOf[A, B comparable](a A, b B) Pair[A, B] { return Pair[A, B]{First: a, Second: b} }

// String returns the pair as "(first, second)".
func (p Pair[A, B]) String() string { return fmt.Sprintf("(%v, %v)", p.First, p.Second) }

func (p Pair[A, B]) text() string { return "(" + keyText(p.First) + ", " + keyText(p.Second) + ")" }

func (p Pair[A, B]) appendKey(dst []byte) []byte {
	return appendKey(appendKey(dst, p.First), p.Second)
}

func (p *Pair[A, B]) readKey(src []byte) ([]byte, error) {
	rest, err := readKey(src, &p.First)
	if err != nil {
		return nil, err
	}
	return readKey(rest, &p.Second)
}

func (p Pair[A, B]) parts() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()}
}

// keyText returns a key, or the value of an index, for an error message: strings are
// quoted, and cut if they are long.
func keyText(key any) string {
	if p, ok := key.(interface{ text() string }); ok {
		return p.text()
	}
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		return quote.Name(v.String())
	}
	return fmt.Sprint(key)
}

// keyFault returns why values of a type cannot be keys; "" if they can.
func keyFault(t reflect.Type) string {
	if p, ok := reflect.Zero(t).Interface().(interface{ parts() []reflect.Type }); ok {
		for _, part := range p.parts() {
			if fault := keyFault(part); fault != "" {
				return fault
			}
		}
		return ""
	}
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ""
	}
	if t == reflect.TypeFor[time.Time]() || isUUID(t) {
		return ""
	}
	return fmt.Sprintf("%v cannot be a key: keys are strings, integers, UUIDs, times, and pairs of them", t)
}

func isUUID(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.ConvertibleTo(reflect.TypeFor[uuid.UUID]())
}

// appendKey appends the bytes of a key. Its type has no keyFault.
func appendKey(dst []byte, key any) []byte {
	switch k := key.(type) {
	case string:
		return appendString(dst, k)
	case uuid.UUID:
		return append(dst, k[:]...)
	case time.Time:
		return binary.BigEndian.AppendUint32(appendInt(dst, k.Unix()), uint32(k.Nanosecond()))
	case interface{ appendKey([]byte) []byte }:
		return k.appendKey(dst)
	}
	v := reflect.ValueOf(key)
	switch {
	case v.Kind() == reflect.String:
		return appendString(dst, v.String())
	case v.CanInt():
		return appendInt(dst, v.Int())
	case v.CanUint():
		return binary.BigEndian.AppendUint64(dst, v.Uint())
	default:
		id := v.Convert(reflect.TypeFor[uuid.UUID]()).Interface().(uuid.UUID)
		return append(dst, id[:]...)
	}
}

func appendInt(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n)^1<<63)
}

func appendString(dst []byte, s string) []byte {
	return append(appendEscaped(dst, s), 0, 1)
}

// appendEscaped appends the bytes that every string with the prefix s begins with.
func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		if dst = append(dst, s[i]); s[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return dst
}

var (
	errShortKey = errors.New("the key is too short")
	errBadKey   = errors.New("the bytes are no key of this type")
)

// readKey decodes a key from the beginning of src into the value that into points to, and
// returns the rest of src.
func readKey(src []byte, into any) (rest []byte, err error) {
	switch k := into.(type) {
	case *string:
		*k, rest, err = readString(src)
		return rest, err
	case *uuid.UUID:
		if len(src) < len(k) {
			return nil, errShortKey
		}
		return src[copy(k[:], src):], nil
	case *time.Time:
		return readTime(src, k)
	case interface {
		readKey([]byte) ([]byte, error)
	}:
		return k.readKey(src)
	}
	v := reflect.ValueOf(into).Elem()
	if v.Kind() == reflect.String {
		s, rest, err := readString(src)
		v.SetString(s)
		return rest, err
	}
	if v.Kind() == reflect.Array {
		if len(src) < v.Len() {
			return nil, errShortKey
		}
		reflect.Copy(v, reflect.ValueOf(src[:v.Len()]))
		return src[v.Len():], nil
	}
	return readInteger(src, v)
}

func readInteger(src []byte, into reflect.Value) ([]byte, error) {
	if len(src) < 8 {
		return nil, errShortKey
	}
	n := binary.BigEndian.Uint64(src)
	if into.CanUint() {
		into.SetUint(n)
		if into.Uint() != n {
			return nil, errBadKey
		}
		return src[8:], nil
	}
	signed := int64(n ^ 1<<63)
	if into.SetInt(signed); into.Int() != signed {
		return nil, errBadKey
	}
	return src[8:], nil
}

func readTime(src []byte, into *time.Time) ([]byte, error) {
	if len(src) < 12 {
		return nil, errShortKey
	}
	nanos := binary.BigEndian.Uint32(src[8:])
	if nanos >= 1e9 {
		return nil, errBadKey
	}
	*into = time.Unix(int64(binary.BigEndian.Uint64(src)^1<<63), int64(nanos)).UTC()
	return src[12:], nil
}

func readString(src []byte) (string, []byte, error) {
	var s []byte
	for {
		end := bytes.IndexByte(src, 0)
		if end < 0 || end+1 == len(src) {
			return "", nil, errShortKey
		}
		s = append(s, src[:end]...)
		escape := src[end+1]
		src = src[end+2:]
		switch escape {
		case 1:
			return string(s), src, nil
		case 0xff:
			s = append(s, 0)
		default:
			return "", nil, errBadKey
		}
	}
}

// prefixScan returns the bounds of the keys that begin with a prefix.
func prefixScan(prefix []byte) (from, to []byte) {
	scan := eventstore.PrefixScan("", prefix)
	return scan.From, scan.To
}
