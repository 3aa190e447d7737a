package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// problem is the answer to a request that has failed. Its text is the application's own:
// it has no names of Go types, streams or files in it.
type problem struct {
	status int
	text   string
}

// problemOf returns the answer for an error.
func problemOf(err error) problem {
	var part *aggregate.BatchError
	if errors.As(err, &part) { // one command of several
		p := problemOf(part.Err)
		return problem{p.status, fmt.Sprintf("command %d: %s", part.Index+1, p.text)}
	}
	var invalid *command.ValidationError
	var refusal *cart.Refusal
	var reused *aggregate.CommandIDError
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &refusal):
		return problem{http.StatusBadRequest, refusal.Rule.Error()}
	case errors.As(err, &refusal):
		return problem{http.StatusUnprocessableEntity, refusal.Rule.Error()}
	case errors.As(err, &reused):
		return problem{http.StatusUnprocessableEntity, "the key was used for another request"}
	case errors.Is(err, command.ErrForbidden):
		return problem{http.StatusForbidden, "you may not do that"}
	case errors.Is(err, aggregate.ErrCondition):
		return problem{http.StatusPreconditionFailed, "it has changed since you looked"}
	case errors.Is(err, eventstore.ErrConflict):
		return problem{http.StatusConflict, "others were faster each time; send it again"}
	case errors.Is(err, eventstore.ErrTooLarge):
		return problem{http.StatusRequestEntityTooLarge, "it is too large"}
	case errors.Is(err, eventstore.ErrInvalid):
		return problem{http.StatusBadRequest, "it cannot be carried out as it is"}
	}
	return problemOfServer(err)
}

// problemOfServer returns the answer for an error in which the client has no part.
func problemOfServer(err error) problem {
	for _, passing := range []error{
		eventstore.ErrUnknownOutcome, eventstore.ErrFailed, eventstore.ErrClosed, eventstore.ErrFaulted,
		projection.ErrLate, projection.ErrNeverRun, projection.ErrRebuilding, projection.ErrReplaced, context.DeadlineExceeded,
	} {
		if errors.Is(err, passing) {
			return problem{http.StatusServiceUnavailable, "not now; send it again, with the same key"}
		}
	}
	return problem{http.StatusInternalServerError, "something is wrong here"}
}

// fail answers a request that has failed. After an unknown outcome the store takes no
// more changes before it is opened again, so the server ends, and its supervisor starts
// it again.
func (s *shop) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrFailed) {
		s.stop(err)
	}
	p := problemOf(err)
	if p.status >= http.StatusInternalServerError {
		slog.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, p.text, p.status)
}
