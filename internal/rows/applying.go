package rows

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// applyingKey is the context key under which the store that applies a view is kept.
type applyingKey struct{}

// Applying returns the context for a view that the store applies. [MayChange]
// recognizes it.
func Applying(ctx context.Context, store eventstore.RowStore) context.Context {
	return context.WithValue(ctx, applyingKey{}, store)
}

// MayChange returns ErrInvalid for a call that would change the store with the
// context of a view that the store applies: the two would wait for each other.
func MayChange(ctx context.Context, store eventstore.RowStore) error {
	if ctx.Value(applyingKey{}) == store {
		return fmt.Errorf("%w: a view that is being applied cannot change the store, which waits for it", eventstore.ErrInvalid)
	}
	return nil
}
