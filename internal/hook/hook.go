// Package hook calls operations within hooks: functions that are called before an operation,
// and may return a derived context and a function to call after it.
package hook

import (
	"context"
	"errors"
)

var errPanicked = errors.New("panic in the application's functions")

// Around calls do with the derived context, or with ctx if derived is nil. If end is not nil
// it is called once with the outcome, also if do panics: then with an error.
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
