// Package hook runs hooks that have two halves: a function that is called before,
// which may return a derived context and a function to call afterwards.
package hook

import (
	"context"
	"errors"
)

var errPanicked = errors.New("panic in the application's functions")

// Around calls do with the derived context, or with ctx if there is none. It calls
// end once with the outcome, if end is not nil, even if do panics: then with an
// error.
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
