package command

import (
	"errors"
	"fmt"
	"reflect"
)

// RetryPolicy says how often commands are attempted at most when others were faster:
// when their error matches [eventstore.ErrConflict]. Without one, a route does as
// its repository's options say, and a function given to [Handle] is called once: it
// may have done what must not be done twice, such as to send a letter. Attempts
// wait as repositories do, and middleware surrounds all of them together.
type RetryPolicy struct {
	of       reflect.Type // nil: all commands
	attempts int
}

// MaxAttempts is the policy for all commands of a handler or route. For a function
// given to [Handle], more than 1 declares that it has no effects but its commit,
// and may be called again; once they are used up, its error comes wrapped. For a
// route, 1 declares that Decide must not be asked again.
func MaxAttempts(n int) RetryPolicy { return RetryPolicy{attempts: n} }

// MaxAttemptsOf is the policy for the commands of exactly the Go type C, over that
// for all.
func MaxAttemptsOf[C any](n int) RetryPolicy {
	return RetryPolicy{of: reflect.TypeFor[C](), attempts: n}
}

// policies say how often commands are attempted.
type policies struct {
	all int // 0: nothing is said
	of  map[reflect.Type]int
}

// newPolicies puts the policies for a handler of c together, or says all that is
// wrong with them.
func newPolicies(c reflect.Type, list []RetryPolicy) (policies, error) {
	p := policies{of: make(map[reflect.Type]int)}
	var faults []error
	for _, policy := range list {
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
			faults = append(faults, fmt.Errorf("there is a policy for %s, which are none of %v", what, c))
		case policy.of.Kind() == reflect.Interface:
			faults = append(faults, fmt.Errorf("there is a policy for %s, an interface: MaxAttemptsOf takes the type of a command", what))
		default:
			p.of[policy.of] = policy.attempts
		}
	}
	return p, errors.Join(faults...)
}

// attempts returns how often the command is attempted, 0 if nothing is said.
func (p policies) attempts(cmd any) int {
	if n, ok := p.of[reflect.TypeOf(cmd)]; ok {
		return n
	}
	return p.all
}
