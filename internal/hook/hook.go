// Package hook runs what is between the two halves of a hook: a function that is called
// before, and may give the context to go on with and a function to call afterwards.
package hook

import (
	"context"
	"errors"
)

var errPanicked = errors.New("panic in the application's functions")

// Around calls do with the derived context, or with ctx if there is none, and end, if there
// is one, with the outcome, once, whatever happens: of a panic it is told as an error.
func Around[R any](
	ctx, derived context.Context, end func(R, error), do func(context.Context) (R, error),
) (result R, err error) {
	if derived == nil {
		derived = ctx
	}
	if end != nil {
		err = errPanicked
		defer func() { end(result, err) }()
	}
	return do(derived)
}
