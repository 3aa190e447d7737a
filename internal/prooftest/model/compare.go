package model

import (
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/yore-es/yore/eventstore"
)

// sentinels are the errors that a caller can match.
var sentinels = []error{
	eventstore.ErrConflict, eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrClosed, eventstore.ErrReadOnly,
	eventstore.ErrLocked, eventstore.ErrCorrupt, eventstore.ErrFormat, eventstore.ErrUnknownOutcome, eventstore.ErrFaulted,
	eventstore.ErrFailed,
}

// same returns an error if two answers of a call differ.
func same(what string, expected, found any) error {
	if reflect.DeepEqual(expected, found) {
		return nil
	}
	return fmt.Errorf("%s: expected %+v, found %+v", what, expected, found)
}

// sameError returns an error if two errors of a call differ in the sentinels that
// they match or in the facts that they carry. Their texts may differ.
func sameError(what string, expected, found error) error {
	differ := (expected == nil) != (found == nil)
	for _, sentinel := range sentinels {
		differ = differ || errors.Is(expected, sentinel) != errors.Is(found, sentinel)
	}
	if differ || !sameFacts[*eventstore.ConflictError](expected, found) || !sameFacts[*eventstore.CheckpointError](expected, found) ||
		!sameFacts[*eventstore.FaultedError](expected, found) || !sameFacts[*eventstore.LimitError](expected, found) {
		return fmt.Errorf("%s: expected the error %w, found %w", what, orNone(expected), orNone(found))
	}
	return nil
}

// orNone returns err, or an error that says none if err is nil.
func orNone(err error) error {
	if err == nil {
		return errors.New("none")
	}
	return err
}

// sameFacts reports whether both errors are of type E with the same fields, or
// neither is of type E.
func sameFacts[E error](expected, found error) bool {
	var a, b E
	if errors.As(expected, &a) != errors.As(found, &b) {
		return false
	}
	return reflect.DeepEqual(a, b)
}

// sameEvents returns an error that names the first event that differs.
func sameEvents(what string, expected, found []eventstore.Event) error {
	for i := range min(len(expected), len(found)) {
		if err := same(fmt.Sprintf("%s: event %d of %d", what, i+1, len(expected)), expected[i], found[i]); err != nil {
			return err
		}
	}
	return same(what+": number of events", len(expected), len(found))
}

// sameRows returns an error that names the first row that differs.
func sameRows(what string, expected, found []eventstore.Row) error {
	for i := range min(len(expected), len(found)) {
		if err := same(fmt.Sprintf("%s: row %d of %d", what, i+1, len(expected)), expected[i], found[i]); err != nil {
			return err
		}
	}
	return same(what+": number of rows", len(expected), len(found))
}

// collect ranges over seq to the end.
func collect[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}
