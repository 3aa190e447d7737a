package eventstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

var sentinels = []error{
	eventstore.ErrConflict, eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrClosed, eventstore.ErrReadOnly,
	eventstore.ErrLocked, eventstore.ErrCorrupt, eventstore.ErrFormat, eventstore.ErrUnknownOutcome, eventstore.ErrFailed,
}

func TestErrors_MatchOneSentinel(t *testing.T) {
	for _, test := range []struct {
		err      error
		sentinel error
	}{
		{&eventstore.ConflictError{}, eventstore.ErrConflict},
		{&eventstore.LimitError{}, eventstore.ErrTooLarge},
		{&eventstore.CorruptError{}, eventstore.ErrCorrupt},
	} {
		wrapped := fmt.Errorf("append to stream %q: %w", "cart-7", test.err)
		for _, sentinel := range sentinels {
			require.Equal(t, errors.Is(test.sentinel, sentinel), errors.Is(wrapped, sentinel), "%v is %v", wrapped, sentinel)
		}
	}
}

func TestErrors_SentinelsDiffer(t *testing.T) {
	for i, a := range sentinels {
		for j, b := range sentinels {
			require.Equal(t, i == j, errors.Is(a, b), "%v is %v", a, b)
		}
	}
}

func TestErrors_As(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &eventstore.ConflictError{Stream: "cart-7", Actual: 3})
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstore.StreamID("cart-7"), conflict.Stream)

	var limit *eventstore.LimitError
	require.ErrorAs(t, fmt.Errorf("wrapped: %w", &eventstore.LimitError{Size: 2, Limit: 1}), &limit)
	require.Equal(t, 2, limit.Size)

	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, fmt.Errorf("wrapped: %w", &eventstore.CorruptError{Position: 5}), &corrupt)
	require.Equal(t, eventstore.Position(5), corrupt.Position)
}

func TestErrors_Messages(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{
			&eventstore.ConflictError{Stream: "cart-7", Expected: eventstore.At(2), Actual: 3, Position: 9, Type: "cart.item-added"},
			`conflict: stream "cart-7": expected version 2, is at version 3 (first conflicting event: position 9, type "cart.item-added")`,
		},
		{
			&eventstore.ConflictError{Stream: "cart-7", Expected: eventstore.At(2), Actual: 1},
			`conflict: stream "cart-7": expected version 2, is at version 1`,
		},
		{
			&eventstore.ConflictError{Stream: "cart-7", Expected: eventstore.Exists},
			`conflict: stream "cart-7": expected an existing stream, has no events`,
		},
		{
			&eventstore.ConflictError{
				Guard:      &eventstore.Guard{Query: eventstore.Category("cart"), After: 4},
				GuardIndex: 1, Position: 9, Type: "cart.item-added",
			},
			`conflict: guard 1 (category "cart", after position 4): position 9, type "cart.item-added" matches`,
		},
		{&eventstore.LimitError{What: "bytes of payload", Size: 17, Limit: 16}, `too large: 17 bytes of payload, at most 16`},
		{&eventstore.CorruptError{Position: 5, Reason: "checksum differs"}, `corrupt: position 5: checksum differs`},
	} {
		require.EqualError(t, test.err, test.want)
	}
}

// A refused name may have any length. The text of the error is short all the same.
func TestErrors_LongNamesAreCut(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	limits := eventstore.StandardLimits()
	expect := []eventstore.Expect{{Stream: "-" + eventstore.StreamID(long), At: eventstore.Any}}
	_, appendErr := eventstore.AppendTo(t.Context(), nil, eventstore.StreamID(long), eventstore.Any,
		eventstore.NewEvent{Stream: "another"})
	for _, err := range []error{
		appendErr,
		&eventstore.ConflictError{Stream: eventstore.StreamID(long), Expected: eventstore.NoStream, Actual: 1, Position: 1, Type: long},
		&eventstore.ConflictError{Guard: &eventstore.Guard{Query: eventstore.Category(long)}, Position: 1, Type: long},
		&eventstore.ConflictError{Guard: &eventstore.Guard{Query: eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{eventstore.Tag(long)}})}},
		&eventstore.CheckpointError{View: eventstore.ViewID(long)},
		&eventstore.FaultedError{View: eventstore.ViewID(long), Fault: eventstore.Fault{Type: long}},
		eventstore.Validate(eventstore.Commit{Events: []eventstore.NewEvent{{Type: "x"}}, Expect: expect}),
		eventstore.ValidateRead(eventstore.Category(long), eventstore.ReadOptions{FromVersion: 1}),
		eventstore.ValidateKey(long),
		limits.ValidateRowKey(eventstore.RowKey{Table: long}),
		limits.ValidateInlineView(eventstore.InlineView{View: eventstore.ViewID(long)}),
	} {
		require.Error(t, err)
		require.Less(t, len(err.Error()), 1_000)
	}
	limits.NameBytes = 1 << 21
	for _, err := range []error{
		limits.ValidateRowKey(eventstore.RowKey{Table: long}),
		limits.ValidateInlineView(eventstore.InlineView{View: eventstore.ViewID(long)}),
		limits.ValidateView(eventstore.ViewID(long + "\x00")),
		limits.ValidateRead(eventstore.Category(long+"-"), eventstore.ReadOptions{}),
		limits.ValidateRead(eventstore.Category(long), eventstore.ReadOptions{FromVersion: 1}),
		limits.Validate(eventstore.Commit{Events: []eventstore.NewEvent{{Type: "x"}}, Expect: expect}),
		limits.Validate(eventstore.Commit{Events: []eventstore.NewEvent{{Stream: eventstore.StreamID(long), Type: "x"}}}),
	} {
		require.ErrorContains(t, err, "xxx…")
		require.Less(t, len(err.Error()), 1_000)
	}
}
