package aggtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/yore-es/yore/codec"
)

// verdict is the result of a command or a decision: events, or a refusal.
type verdict struct {
	t        testing.TB
	registry *codec.Registry
	what     string // begins each report
	events   []any
	err      error
}

// accepted checks that there is no refusal, but exactly these events.
func (v verdict) accepted(events []any) {
	v.t.Helper()
	if v.err != nil {
		v.t.Errorf("%s: want %s, got a refusal: %v", v.what, count(len(events)), v.err)
		return
	}
	if difference := diffEvents(v.registry, events, v.events); difference != "" {
		v.t.Errorf("%s: events:\n%s", v.what, difference)
	}
}

// rejected checks that there is a refusal that is the target.
func (v verdict) rejected(target error) {
	v.t.Helper()
	if target == nil {
		v.t.Fatalf("ThenRejected: the target is nil")
	} else if v.refused(fmt.Sprintf("%q", target)) && !errors.Is(v.err, target) {
		v.t.Errorf("%s: want refusal %q, got %q", v.what, target, v.err)
	}
}

// rejectedAs checks that there is a refusal of the type that target points to.
func (v verdict) rejectedAs(target any) {
	v.t.Helper()
	kind := fmt.Sprintf("%T", target)[1:]
	if v.refused("of type "+kind) && !errors.As(v.err, target) {
		v.t.Errorf("%s: want refusal of type %s, got %T: %v", v.what, kind, v.err, v.err)
	}
}

// refused reports whether there is a refusal, and fails the test if not.
func (v verdict) refused(want string) bool {
	v.t.Helper()
	if v.err == nil {
		v.t.Errorf("%s: want refusal %s, got %s:\n%s", v.what, want, count(len(v.events)), diff(nil, render(v.registry, v.events)))
	}
	return v.err != nil
}
