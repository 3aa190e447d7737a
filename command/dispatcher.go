package command

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// Handler carries out a command of any type. A [Middleware] wraps it. Applications write
// typed functions and register them with [Handle].
type Handler func(ctx context.Context, cmd any) (Reply, error)

// Reply is the answer of a handler.
type Reply struct {
	// Result is the result for the caller of Dispatch: the value that a function
	// returned, or a route's [aggregate.Result]. It may come with an error: a route
	// returns the state that refused the command.
	Result any
	// Receipt is the commit's; the zero Receipt if nothing was appended.
	Receipt eventstore.Receipt
	// Refused is true if the command was refused, by Decide, by [Validate] or [Authorize],
	// or by a function that returned the error of [Refuse]: sent again, it is refused
	// again, unless something has changed. Any other error is a fault, which may pass.
	Refused bool
}

// Middleware returns a handler that does something before, after or instead of next. It is
// called once, by NewDispatcher. The handler that it returns is called for every command,
// and must be safe for concurrent use by multiple goroutines.
type Middleware func(next Handler) Handler

// Dispatcher dispatches commands to their handlers. It is safe for concurrent use by
// multiple goroutines, registrations included. Make one with [NewDispatcher].
type Dispatcher struct {
	handle Handler // the middleware around carryOut

	mu       sync.RWMutex // not held while a handler runs
	exact    map[reflect.Type]target
	families []target

	onDispatch []observer[any]
	onBatch    []observer[[]any]
}

// target is a registered handler: of a function or of a route.
type target struct {
	command reflect.Type // a concrete type, or a family's interface
	result  reflect.Type
	handle  Handler
	once    bool // a command that is sent again with its command id is carried out once

	// A route answers with an aggregate.Result, which a caller can ask for, too.
	whole reflect.Type  // the type of the whole answer; nil if the result is all of it
	part  func(any) any // returns the result in a whole answer

	// join returns the command as a part of a batch, and a function that returns its
	// whole answer after the batch was carried out. It is nil if the handler's
	// commands cannot be part of a batch.
	join func(ctx context.Context, cmd any) (aggregate.Part, func() any)
}

// answers reports whether the target's answer can be returned as a want, and whether want is
// the type of the whole answer.
func (t target) answers(want reflect.Type) (ok, whole bool) {
	if want == t.whole {
		return true, true
	}
	return t.result == want || want.Kind() == reflect.Interface && t.result.Implements(want), false
}

// NewDispatcher returns a dispatcher without handlers. The first middleware is
// the outermost; none may be nil.
func NewDispatcher(middleware ...Middleware) *Dispatcher {
	d := &Dispatcher{exact: make(map[reflect.Type]target)}
	d.handle = d.carryOut
	for i, m := range slices.Backward(middleware) {
		if m == nil {
			panic(fmt.Sprintf("command: NewDispatcher: middleware %d is nil", i))
		}
		d.handle = m(d.handle)
	}
	return d
}

// Handle registers a function for commands of exactly the Go type C. R is the type of its
// result. The function may append to several streams, in one commit, which has one receipt.
// It is called once for each command, unless [MaxAttempts] allows more calls. An interface
// for C, a nil function, a C that has a handler, and invalid policies are errors that match
// [eventstore.ErrInvalid].
func Handle[C, R any](
	d *Dispatcher, handle func(ctx context.Context, cmd C) (R, eventstore.Receipt, error), policies ...RetryPolicy,
) error {
	c := reflect.TypeFor[C]()
	p, err := newPolicies(c, policies)
	switch {
	case err != nil:
		return fmt.Errorf("handle %v: %w: %w", c, eventstore.ErrInvalid, err)
	case handle == nil:
		return fmt.Errorf("handle %v: %w: the function is nil", c, eventstore.ErrInvalid)
	case c.Kind() == reflect.Interface:
		return fmt.Errorf("handle %v: %w: an interface is not the type of any command; use Route for a family", c, eventstore.ErrInvalid)
	}
	return d.add(target{command: c, result: reflect.TypeFor[R](), once: p.once, handle: func(ctx context.Context, cmd any) (Reply, error) {
		var reply Reply
		once := func(ctx context.Context) error {
			result, receipt, err := handle(ctx, cmd.(C))
			reply = Reply{Result: result, Receipt: receipt, Refused: isRefusal(result, err)}
			return err
		}
		if n := p.attempts(cmd); n > 1 {
			err := aggregate.Retry(ctx, n, once)
			return reply, err
		}
		err := once(ctx)
		return reply, err
	}})
}

// Route sends a family of commands to a repository: all that implement the interface C, or,
// if C is not an interface, those of exactly that type. The function, usually a method
// expression, returns the id of the aggregate that a command is for. The result of a command
// is the state, as [aggregate.Repository.Execute] returns it, also with a refusal; or, if
// the caller of Dispatch asks for it, the whole [aggregate.Result].
//
// Policies bound the attempts of commands. Without one the repository's options do.
//
// A nil repository or function, a C that is routed already, an interface that implies
// another routed one, so that every command of it would belong to both, and invalid policies
// are errors that match [eventstore.ErrInvalid].
func Route[S, C, E any](
	d *Dispatcher, repository *aggregate.Repository[S, C, E], id func(C) string, policies ...RetryPolicy,
) error {
	c := reflect.TypeFor[C]()
	if repository == nil || id == nil {
		return fmt.Errorf("route %v: %w: the repository or the function that names the aggregate is nil", c, eventstore.ErrInvalid)
	}
	p, err := newPolicies(c, policies)
	if err == nil && p.once {
		err = errors.New("Once is for functions; a repository carries out a command with an id once by itself")
	}
	if err != nil {
		return fmt.Errorf("route %v: %w: %w", c, eventstore.ErrInvalid, err)
	}
	under := func(cmd any) *aggregate.Repository[S, C, E] {
		if n := p.attempts(cmd); n > 0 {
			return repository.WithMaxAttempts(n)
		}
		return repository
	}
	return d.add(target{
		command: c,
		once:    true,
		result:  reflect.TypeFor[S](),
		handle: func(ctx context.Context, cmd any) (Reply, error) {
			command := cmd.(C)
			result, err := under(cmd).Execute(ctx, id(command), command, conditionsFrom(ctx)...)
			return Reply{Result: result, Receipt: result.Receipt, Refused: result.Refused}, err
		},
		join: func(ctx context.Context, cmd any) (aggregate.Part, func() any) {
			command := cmd.(C)
			var result aggregate.Result[S, E]
			return under(cmd).Part(ctx, id(command), command, &result), func() any { return result }
		},
		whole: reflect.TypeFor[aggregate.Result[S, E]](),
		part: func(answer any) any {
			if result, ok := answer.(aggregate.Result[S, E]); ok {
				return result.State
			}
			return answer // of a middleware
		},
	})
}

func (d *Dispatcher) add(t target) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.command.Kind() != reflect.Interface {
		if _, taken := d.exact[t.command]; taken {
			return fmt.Errorf("handle %v: %w: it has a handler already", t.command, eventstore.ErrInvalid)
		}
		d.exact[t.command] = t
		return nil
	}
	for _, other := range d.families {
		if t.command == other.command {
			return fmt.Errorf("route %v: %w: it is routed already", t.command, eventstore.ErrInvalid)
		}
		if t.command.Implements(other.command) || other.command.Implements(t.command) {
			return fmt.Errorf("route %v: %w: its commands and those of %v, which is routed already, would belong to both",
				t.command, eventstore.ErrInvalid, other.command)
		}
	}
	d.families = append(d.families, t)
	return nil
}

// Dispatch sends the command through the middleware to its handler and returns the handler's
// result, the receipt of its commit, and its error as it is. R is the handler's result type
// or an interface that it implements; any always works. For a route the result is the state,
// and R may also be the whole [aggregate.Result], with the version and the events. A command
// without a handler is an [*UnknownCommandError]. A command of two families, and any other R,
// are errors that match [eventstore.ErrInvalid]; then neither middleware nor handler was
// called.
//
// Conditions, such as [aggregate.If], are those of [aggregate.Repository.Execute], which
// checks them, after all middleware. For a command whose handler is a function they are
// ErrInvalid.
func Dispatch[R any](
	ctx context.Context, d *Dispatcher, cmd any, conditions ...aggregate.Condition,
) (R, eventstore.Receipt, error) {
	var result R
	reply, err := d.dispatched(ctx, cmd, conditions, func(ctx context.Context) (reply Reply, err error) {
		result, reply, err = dispatch[R](ctx, d, cmd)
		return reply, err
	})
	return result, reply.Receipt, err
}

// Send sends the command as [Dispatch] does, and returns the whole reply: that says whether an
// error is a refusal. The Result is that of the handler; for a route it is the
// [aggregate.Result].
func (d *Dispatcher) Send(ctx context.Context, cmd any, conditions ...aggregate.Condition) (Reply, error) {
	return d.dispatched(ctx, cmd, conditions, func(ctx context.Context) (Reply, error) {
		_, reply, err := dispatch[any](ctx, d, cmd)
		return reply, err
	})
}

// dispatched calls do with the context of a command, within the hooks.
func (d *Dispatcher) dispatched(
	ctx context.Context, cmd any, conditions []aggregate.Condition, do func(context.Context) (Reply, error),
) (Reply, error) {
	if stepFrom(ctx) != nil { // a middleware sends a command that is not in its batch
		ctx = context.WithValue(ctx, stepKey{}, (*step)(nil))
	}
	return surrounded(withConditions(ctx, conditions), d.hooks(), cmd, do)
}

// CarriesOutOnce reports whether a command of this one's type, sent again with the same command
// id, is carried out once: if it is routed to a repository, or if its function is declared
// [Once]. It is false for a command without a handler.
func (d *Dispatcher) CarriesOutOnce(cmd any) bool {
	t, err := d.target(cmd)
	return err == nil && t.once
}

// dispatch is Dispatch within the hooks.
func dispatch[R any](ctx context.Context, d *Dispatcher, cmd any) (R, Reply, error) {
	var none R
	want := reflect.TypeFor[R]()
	t, err := d.target(cmd)
	if err != nil {
		return none, Reply{}, err
	}
	ok, whole := t.answers(want)
	if !ok {
		return none, Reply{}, fmt.Errorf("dispatch %T: %w: its result is %v, not %v",
			cmd, eventstore.ErrInvalid, t.result, want)
	}
	if err := t.takes(cmd, conditionsFrom(ctx)); err != nil {
		return none, Reply{}, err
	}
	reply, err := d.handle(ctx, cmd)
	answer := reply.Result
	if t.part != nil && !whole {
		answer = t.part(answer)
	}
	result, ok := answer.(R)
	if !ok && err == nil && (answer != nil || want.Kind() != reflect.Interface) {
		err = fmt.Errorf("dispatch %T: a middleware answered with %T, not %v", cmd, answer, want)
	}
	return result, reply, err
}

// hooks returns the hooks around a command.
func (d *Dispatcher) hooks() []observer[any] {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.onDispatch
}

// send sends a command of a batch through hooks and middleware.
func (d *Dispatcher) send(ctx context.Context, cmd any) (Reply, error) {
	return surrounded(ctx, d.hooks(), cmd, func(ctx context.Context) (Reply, error) { return d.handle(ctx, cmd) })
}

// carryOut is the innermost handler. A middleware may have replaced the command that was
// dispatched.
func (d *Dispatcher) carryOut(ctx context.Context, cmd any) (Reply, error) {
	if s := stepFrom(ctx); s != nil {
		return s.batch.carryOut(ctx, s.index, cmd)
	}
	t, err := d.target(cmd)
	if err == nil {
		err = t.takes(cmd, conditionsFrom(ctx))
	}
	if err != nil {
		return Reply{}, err
	}
	return t.handle(ctx, cmd)
}

// target returns the target of the command.
func (d *Dispatcher) target(cmd any) (target, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := reflect.TypeOf(cmd)
	if c == nil {
		return target{}, &UnknownCommandError{}
	}
	if t, ok := d.exact[c]; ok {
		return t, nil
	}
	var found []target
	for _, family := range d.families {
		if c.Implements(family.command) {
			found = append(found, family)
		}
	}
	switch len(found) {
	case 0:
		return target{}, d.unknown(c)
	case 1:
		return found[0], nil
	default:
		return target{}, fmt.Errorf("dispatch %v: %w: it belongs to two families, %v and %v",
			c, eventstore.ErrInvalid, found[0].command, found[1].command)
	}
}

// unknown returns the error for a type that has no handler. The caller holds mu.
func (d *Dispatcher) unknown(c reflect.Type) error {
	err := &UnknownCommandError{Type: c}
	if c.Kind() == reflect.Pointer {
		_, err.Pointer = d.exact[c.Elem()]
	}
	return err
}
