package command

import (
	"errors"
	"fmt"
	"reflect"
)

// RetryPolicy bounds the attempts of commands whose error matches [eventstore.ErrConflict].
// Without one, the repository's options do so for a route, and a function given to [Handle]
// is called once, because it may have effects that must not happen twice, such as a letter.
// Between attempts there is a wait as in repositories. Middleware wraps all attempts
// together.
type RetryPolicy struct {
	of       reflect.Type // nil for all commands
	attempts int
	once     bool
}

// MaxAttempts returns the policy for all commands of a handler or route. For a function given
// to [Handle], more than 1 declares that the function has no effect but its commit and may be
// called again; the error after the last attempt is wrapped. For a route, 1 declares that
// Decide must not be called again.
func MaxAttempts(n int) RetryPolicy { return RetryPolicy{attempts: n} }

// MaxAttemptsOf returns the policy for the commands of exactly the Go type C. It replaces the
// one for all commands.
func MaxAttemptsOf[C any](n int) RetryPolicy {
	return RetryPolicy{of: reflect.TypeFor[C](), attempts: n}
}

// Once declares of a function given to [Handle] that what it does is one commit, whose key is
// the command id in its context: so a command that is sent again with its id is carried out
// once, as one that is routed. [aggregate.CommandHandler] returns such a function; one that
// appends by itself sets the commit's Digest, too ([aggregate.CommandDigest]), and compares it
// with that of the receipt. See [Dispatcher.CarriesOutOnce].
func Once() RetryPolicy { return RetryPolicy{once: true} }

// policies are the policies of a handler or route.
type policies struct {
	all  int // 0 if there is none
	of   map[reflect.Type]int
	once bool
}

// newPolicies returns the policies for a handler of c, or all their faults.
func newPolicies(c reflect.Type, list []RetryPolicy) (policies, error) {
	p := policies{of: make(map[reflect.Type]int)}
	var faults []error
	for _, policy := range list {
		if policy.once {
			p.once = true
			continue
		}
		what, taken := "all commands", p.all > 0
		if policy.of != nil {
			what = fmt.Sprintf("commands of type %v", policy.of)
			_, taken = p.of[policy.of]
		}
		switch {
		case policy.attempts < 1:
			faults = append(faults, fmt.Errorf("the policy for %s is %d attempts, less than 1", what, policy.attempts))
		case taken:
			faults = append(faults, fmt.Errorf("there are two policies for %s", what))
		case policy.of == nil:
			p.all = policy.attempts
		case policy.of != c && (policy.of.Kind() == reflect.Interface || c.Kind() != reflect.Interface || !policy.of.Implements(c)):
			faults = append(faults, fmt.Errorf("there is a policy for %s, which do not belong to %v", what, c))
		case policy.of.Kind() == reflect.Interface:
			faults = append(faults, fmt.Errorf("there is a policy for %s, an interface: MaxAttemptsOf takes the type of a command", what))
		default:
			p.of[policy.of] = policy.attempts
		}
	}
	return p, errors.Join(faults...)
}

// attempts returns the number of attempts of the command; 0 if there is no policy.
func (p policies) attempts(cmd any) int {
	if n, ok := p.of[reflect.TypeOf(cmd)]; ok {
		return n
	}
	return p.all
}
