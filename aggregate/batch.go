package aggregate

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// Part is one command of several that become one commit. Make it with
// [Repository.Part] and carry it out with [ExecuteAll].
type Part struct{ part }

// part is a Part of a repository of some types.
type part interface {
	// describe returns what ExecuteAll has to know before anything is done.
	describe() (partInfo, error)
	// decide adds what the command leads to, on top of the parts before it, or
	// returns why it cannot.
	decide(ctx context.Context, a *attempt) error
	// settle sets the result of an attempt that was appended, or of one in which
	// nothing was decided.
	settle(a *attempt, receipt eventstore.Receipt)
	// repeated sets the result of a batch that was carried out before.
	repeated(ctx context.Context, commandID string, receipt eventstore.Receipt) error
}

type partInfo struct {
	stream      eventstore.StreamID
	store       eventstore.Store
	hooks       Hooks
	maxAttempts int
	queues      *queues
	command     reflect.Type
}

// Part returns a command on the aggregate with this id as a part of a batch. Its
// events get the metadata and the time that ctx carries. The result, which may be
// nil, is set when the batch is carried out: the state and version that it left
// the aggregate with, all events that it wrote to its stream, whichever part they
// are from, and the receipt. Results of parts for one stream share memory.
//
// Conditions, such as [If], must hold of the aggregate as it is in the log, whatever the
// parts before this one add to it: two parts with the same condition can be of one batch.
func (r *Repository[S, C, E]) Part(
	ctx context.Context, id string, cmd C, result *Result[S, E], conditions ...Condition,
) Part {
	return Part{&command[S, C, E]{repository: r, ctx: ctx, id: id, cmd: cmd, result: result, conditions: conditions}}
}

// BatchError says which command of a batch kept all of it from being carried out.
type BatchError struct {
	// Index is the command's, from 0.
	Index int
	// Type is the command's Go type; nil for a nil command.
	Type reflect.Type
	// Stream is the aggregate's; "" if its id is empty.
	Stream eventstore.StreamID
	// Err is why: the application's own error for one that was refused.
	Err error
}

// Error says all that the fields say.
func (e *BatchError) Error() string {
	on := ""
	if e.Stream != "" {
		on = fmt.Sprintf(" on stream %s", quote.Name(string(e.Stream)))
	}
	return fmt.Sprintf("command %d (%v)%s: %v", e.Index, e.Type, on, e.Err)
}

// Unwrap returns why.
func (e *BatchError) Unwrap() error { return e.Err }

// ExecuteAll carries out commands on any number of aggregates, of any
// repositories over one store, as one commit: all or none. It asks the deciders
// in the order of the parts; of two parts for one stream, the second is decided
// on the state that the first left. The events are appended in that order, if
// every stream that was decided on is where it was, also one to which nothing is
// written; otherwise all of it begins again, as often as the least of the
// repositories' MaxAttempts says.
//
// The command id that ctx carries is the batch's, and the commit's key: the batch
// is carried out once, however often it is sent, and answered each time as it was
// the first time. Ids of the parts' own are metadata and nothing more.
//
// A part that is refused, whose conditions do not hold, or that cannot be loaded or
// encoded, is a [*BatchError], and nothing is appended. The other errors are those of [Repository.Execute], and
// ErrInvalid for no parts, for repositories over different stores and for two
// repositories with one stream. On any error the results are of no meaning.
func ExecuteAll(ctx context.Context, parts ...Part) (eventstore.Receipt, error) {
	b, err := newBatch(parts)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("execute %d commands: %w", len(parts), err)
	}
	receipt, rejection, err := b.execute(ctx)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("execute %d commands: %w", len(parts), err)
	}
	return receipt, rejection
}

// batch is an ExecuteAll under way.
type batch struct {
	parts       []Part
	infos       []partInfo
	store       eventstore.Store
	hooks       Hooks   // of the first part's repository
	queues      *queues // the same one's
	maxAttempts int
}

func newBatch(parts []Part) (*batch, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: there are none", eventstore.ErrInvalid)
	}
	b := &batch{parts: parts, infos: make([]partInfo, len(parts))}
	for i, p := range parts {
		if p.part == nil {
			return nil, fmt.Errorf("%w: part %d is the zero Part: use Repository.Part", eventstore.ErrInvalid, i)
		}
		info, err := p.describe()
		if err != nil {
			return nil, &BatchError{Index: i, Type: info.command, Stream: info.stream, Err: err}
		}
		b.infos[i] = info
		if i == 0 {
			b.store, b.hooks, b.queues, b.maxAttempts = info.store, info.hooks, info.queues, info.maxAttempts
		}
		b.maxAttempts = min(b.maxAttempts, info.maxAttempts)
		if a, z := b.store.Info(), info.store.Info(); a.StoreID != z.StoreID || a.Epoch != z.Epoch {
			return nil, fmt.Errorf("%w: command %d (%v) is for another store than the first", eventstore.ErrInvalid, i, info.command)
		}
	}
	return b, nil
}

// execute is ExecuteAll; rejection is a *BatchError, err any other.
func (b *batch) execute(ctx context.Context) (receipt eventstore.Receipt, rejection, err error) {
	commandID := eventstore.MetadataFrom(ctx).CommandID()
	receipt, done, err := b.carriedOut(ctx, commandID)
	if done || err != nil {
		return receipt, nil, err
	}
	err = retried(ctx, b.maxAttempts, b.queues, b.keys, func(ctx context.Context) (again bool, err error) {
		a := &attempt{streams: make(map[eventstore.StreamID]any)}
		if rejection = b.decide(ctx, a); rejection != nil || len(a.commit.Events) == 0 {
			repeat, done, err := b.carriedOut(ctx, commandID)
			if done || err != nil {
				receipt, rejection = repeat, nil
				return false, err
			}
			if rejection == nil {
				b.settle(a, eventstore.Receipt{})
			}
			return false, nil
		}
		a.commit.Key = commandID
		receipt, err = b.hooks.append(ctx, b.store, a.commit)
		switch {
		case err != nil:
			return errors.Is(err, eventstore.ErrConflict), err
		case receipt.Repeated:
			receipt, err = b.repeated(ctx, commandID, receipt)
		default:
			b.settle(a, receipt)
		}
		return false, err
	})
	return receipt, rejection, err
}

func (b *batch) keys() []conflictKey {
	keys := make([]conflictKey, len(b.infos))
	for i := range b.infos {
		keys[i] = streamKey(b.infos[i].stream)
	}
	return keys
}

// decide asks the parts in their order, until one cannot be carried out.
func (b *batch) decide(ctx context.Context, a *attempt) error {
	for i, p := range b.parts {
		if err := p.decide(ctx, a); err != nil {
			return &BatchError{Index: i, Type: b.infos[i].command, Stream: b.infos[i].stream, Err: err}
		}
	}
	return nil
}

func (b *batch) settle(a *attempt, receipt eventstore.Receipt) {
	for _, p := range b.parts {
		p.settle(a, receipt)
	}
}

func (b *batch) carriedOut(ctx context.Context, commandID string) (eventstore.Receipt, bool, error) {
	receipt, found, err := lookUp(ctx, b.store, commandID)
	if err != nil || !found {
		return eventstore.Receipt{}, false, err
	}
	receipt, err = b.repeated(ctx, commandID, receipt)
	return receipt, true, err
}

// repeated sets the results to what they were the first time. Parts that decided
// nothing then have left no trace in the receipt; but no other stream is in it.
func (b *batch) repeated(ctx context.Context, commandID string, receipt eventstore.Receipt) (eventstore.Receipt, error) {
	mine := make(map[eventstore.StreamID]bool)
	for _, info := range b.infos {
		mine[info.stream] = true
	}
	ours := len(receipt.Heads) > 0
	for _, head := range receipt.Heads {
		ours = ours && mine[head.Stream]
	}
	if !ours {
		return eventstore.Receipt{}, fmt.Errorf("%w: command id %s was used for another command, which wrote to %s",
			eventstore.ErrInvalid, quote.Name(commandID), written(receipt))
	}
	receipt.Repeated = true
	for i, p := range b.parts {
		if err := p.repeated(ctx, commandID, receipt); err != nil {
			return eventstore.Receipt{}, fmt.Errorf("stream %s: %w", quote.Name(string(b.infos[i].stream)), err)
		}
	}
	return receipt, nil
}

// attempt is what the parts of a batch have decided in one go.
type attempt struct {
	commit  eventstore.Commit
	streams map[eventstore.StreamID]any // *decided[S, C, E]: what became of each so far
}

// decided is an aggregate in an attempt.
type decided[S, C, E any] struct {
	repository *Repository[S, C, E]
	loaded     eventstore.Version // in the log
	at         image[S]           // of its own; after the events
	events     []E
}

// command is a part of a repository.
type command[S, C, E any] struct {
	repository *Repository[S, C, E]
	ctx        context.Context // for the metadata and the time of the events
	id         string
	cmd        C
	result     *Result[S, E]
	conditions []Condition
}

func (c *command[S, C, E]) describe() (partInfo, error) {
	stream, err := c.repository.stream(c.id)
	if err == nil {
		err = validate(c.conditions)
	}
	return partInfo{
		stream: stream, store: c.repository.store, hooks: c.repository.hooks,
		maxAttempts: c.repository.maxAttempts, queues: c.repository.queues, command: reflect.TypeOf(c.cmd),
	}, err
}

func (c *command[S, C, E]) decide(ctx context.Context, a *attempt) error {
	d, err := c.on(ctx, a)
	if err != nil {
		return err
	}
	if err := c.repository.check(ctx, c.conditions, c.repository.Stream(c.id), d.loaded); err != nil {
		return err
	}
	events, err := c.repository.decider.Decide(d.at.state, c.cmd)
	if err != nil {
		return err
	}
	for _, event := range events {
		encoded, err := newEvent(c.ctx, c.repository.registry, c.repository.Stream(c.id), event)
		if err != nil {
			return err
		}
		a.commit.Events = append(a.commit.Events, encoded)
	}
	for _, event := range events {
		d.at.state = c.repository.decider.Evolve(d.at.state, event)
		d.at.version++
	}
	d.events = append(d.events, events...)
	return nil
}

// on returns the aggregate as the parts before this one have left it.
func (c *command[S, C, E]) on(ctx context.Context, a *attempt) (*decided[S, C, E], error) {
	stream := c.repository.Stream(c.id)
	if known, ok := a.streams[stream]; ok {
		d, same := known.(*decided[S, C, E])
		if !same || d.repository.origin != c.repository.origin {
			return nil, fmt.Errorf("%w: stream %s belongs to two repositories", eventstore.ErrInvalid, quote.Name(string(stream)))
		}
		return d, nil
	}
	at, err := c.repository.latest(ctx, stream, c.repository.start)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	d := &decided[S, C, E]{repository: c.repository, loaded: at.version, at: at}
	a.streams[stream] = d
	a.commit.Expect = append(a.commit.Expect, eventstore.Expect{Stream: stream, At: eventstore.At(at.version)})
	return d, nil
}

func (c *command[S, C, E]) settle(a *attempt, receipt eventstore.Receipt) {
	stream := c.repository.Stream(c.id)
	d := a.streams[stream].(*decided[S, C, E])
	if c.repository.snapshots != nil && len(d.events) > 0 {
		c.repository.snapshots.consider(stream, d.at.version, d.at.kept, 0)
	}
	if c.result != nil {
		*c.result = Result[S, E]{State: d.at.state, Version: d.at.version, Events: d.events, Receipt: receipt}
	}
}

func (c *command[S, C, E]) repeated(ctx context.Context, commandID string, receipt eventstore.Receipt) error {
	if c.result == nil {
		return nil
	}
	r, stream := c.repository, c.repository.Stream(c.id)
	if _, wrote := receipt.Head(stream); wrote {
		result, err := r.repeated(ctx, stream, commandID, receipt)
		*c.result = result
		return err
	}
	at, err := r.observed(ctx, stream, func(ctx context.Context) (image[S], error) {
		return r.fold(ctx, stream, r.start(), eventstore.ReadOptions{To: receipt.Last}, nil)
	})
	*c.result = Result[S, E]{State: at.state, Version: at.version, Receipt: receipt}
	return err
}

// Retry calls attempt until its error does not match [eventstore.ErrConflict], at
// most so many times and at least once, and waits in between as repositories do;
// see [Options].MaxAttempts. It is for functions that read, decide and append on
// their own, and do nothing that must not be done twice.
func Retry(ctx context.Context, maxAttempts int, attempt func(context.Context) error) error {
	return retried(ctx, maxAttempts, nil, nil, func(ctx context.Context) (again bool, err error) {
		err = attempt(ctx)
		return errors.Is(err, eventstore.ErrConflict), err
	})
}
