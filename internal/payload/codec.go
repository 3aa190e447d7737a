package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// Codec encodes and decodes the values of a Go type. It never changes; it is safe for
// concurrent use by multiple goroutines. Make one with [For] and keep it.
type Codec[T any] struct {
	certain bool     // what was encoded can be decoded, whatever the value
	numbers bool     // values may have numbers in an any
	compare comparer // nil if no value can change
	// same reports whether a value is sure to be read as it is, to the last field, and
	// shares no memory that can change; nil if no value is.
	same func(reflect.Value) bool
}

// For returns the codec of a type.
func For[T any]() *Codec[T] {
	t := reflect.TypeFor[T]()
	s := newSurvey(t)
	return &Codec[T]{certain: !s.own && !s.any && !s.ring, numbers: s.any, compare: comparerOf(t), same: sameness(t)}
}

// Certain reports whether every value that can be encoded can be decoded again. It may still
// be read as another value.
func (c *Codec[T]) Certain() bool { return c.certain }

// Encode returns the JSON of a value.
func (c *Codec[T]) Encode(value T) ([]byte, error) {
	return json.Marshal(&value) // by pointer, so that methods with a pointer receiver are used
}

// Decode decodes JSON into a value. It keeps no reference to data.
func (c *Codec[T]) Decode(data []byte) (value T, err error) {
	if !c.numbers {
		err = json.Unmarshal(data, &value)
		return value, err
	}
	err = decodeNumbers(data, &value)
	return value, err
}

// decodeNumbers decodes JSON into what a pointer points to, and numbers in an any as
// json.Numbers, with all their digits.
func decodeNumbers(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return unexpectedEnd(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there is more after the JSON value, from byte %d", d.InputOffset())
	}
	return nil
}

// unexpectedEnd returns the error of a decoder, which says of data that end too early no more
// than EOF.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("unexpected end of JSON input")
	}
	return err
}

// Reread returns the JSON of a value, and the value as it will be read. The value that is
// read shares no memory with the one that is written. If the JSON cannot be decoded, the
// error is a [*UnreadableError].
func (c *Codec[T]) Reread(value T) (data []byte, read T, err error) {
	if data, err = json.Marshal(&value); err != nil {
		return nil, read, err
	}
	if c.same != nil && c.same(reflect.ValueOf(&value).Elem()) {
		return data, value, nil // so that plain values need not be decoded
	}
	if read, err = c.Decode(data); err != nil {
		return nil, read, &UnreadableError{Err: err}
	}
	return data, read, nil
}

// Change returns the first part of a written value that differs from the value that is read,
// or nil. Times are compared as instants; nil and empty slices and maps, and a nil pointer and
// one to a zero value, are the same. A type with its own JSON is compared by its JSON.
func (c *Codec[T]) Change(written, read T) *Change {
	if c.compare == nil {
		return nil
	}
	return c.compare(reflect.ValueOf(&written).Elem(), reflect.ValueOf(&read).Elem())
}

// UnreadableError reports a value whose JSON cannot be decoded.
type UnreadableError struct{ Err error }

// Error implements error.
func (e *UnreadableError) Error() string { return fmt.Sprintf("it could not be read back: %v", e.Err) }

// Unwrap returns the error of the decoder.
func (e *UnreadableError) Unwrap() error { return e.Err }
