package aggregate

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// Part is one of several commands that become one commit. Make it with [Repository.Part]
// and carry it out with [ExecuteAll].
type Part struct{ part }

// part is a Part of a repository of any types.
type part interface {
	// describe returns the stream and the options of the part for ExecuteAll.
	describe() (partInfo, error)
	// decide decides on the state that the parts before it have left, and adds the
	// events to the attempt. Refused says whose the error is: Decide's own, or not.
	decide(ctx context.Context, a *attempt) (refused bool, err error)
	// finish sets the result of an attempt that was appended or had no events.
	finish(a *attempt, receipt eventstore.Receipt)
	// repeated sets the result of a batch that was carried out before.
	repeated(ctx context.Context, key commitKey, receipt eventstore.Receipt) error
}

type partInfo struct {
	target
	store       eventstore.Store
	hooks       Hooks
	maxAttempts int
	queues      *queues
	command     reflect.Type
}

// Part returns a command on the aggregate with this id as a part of a batch. Its events get
// the metadata and the time that ctx carries. ExecuteAll sets the result, which may be nil:
// the state and version of the aggregate after the batch, all events of the batch in its
// stream, whichever part they are from, and the receipt. Results of parts for one stream
// share memory.
//
// Conditions, such as [If], must hold of the aggregate as it is in the log, without the
// events of the parts before this one: two parts of one batch can have the same condition.
func (r *Repository[S, C, E]) Part(
	ctx context.Context, id string, cmd C, result *Result[S, E], conditions ...Condition,
) Part {
	return Part{&command[S, C, E]{repository: r, ctx: ctx, id: id, cmd: cmd, result: result, conditions: conditions}}
}

// BatchError reports the command of a batch that failed. None of them was carried out.
type BatchError struct {
	// Index is the index of the command, from 0.
	Index int
	// Type is the command's Go type; nil for a nil command.
	Type reflect.Type
	// Stream is the aggregate's; "" if its id is empty.
	Stream eventstore.StreamID
	// Err is the reason: the application's own error if the command was refused.
	Err error
	// Refused is true if Decide, or a middleware that says so in its reply, refused the
	// command. Otherwise Err is a fault.
	Refused bool
}

// Error implements error.
func (e *BatchError) Error() string {
	on := ""
	if e.Stream != "" {
		on = fmt.Sprintf(" on stream %s", quote.Name(string(e.Stream)))
	}
	return fmt.Sprintf("command %d (%v)%s: %v", e.Index, e.Type, on, e.Err)
}

// Unwrap returns the reason.
func (e *BatchError) Unwrap() error { return e.Err }

// ExecuteAll carries out commands on any number of aggregates, of any repositories over one
// store, as one commit: all or none. It calls the deciders in the order of the parts; of two
// parts for one stream, the second is decided on the state that the first has left. The
// events are appended in that order if every stream that was decided on is still at its
// version, also a stream that gets no events. Otherwise all parts are decided again, up to
// the smallest MaxAttempts of the repositories.
//
// The command id that ctx carries is that of the batch, and the commit's key: the batch is
// carried out once, however often it is sent, and every answer is that of the first time.
// Command ids of the parts are metadata only.
//
// If a part is refused, if its conditions do not hold, or if it cannot be loaded or encoded,
// the error is a [*BatchError], and nothing is appended. Other errors are those of
// [Repository.Execute], and ErrInvalid for no parts, for repositories over different stores
// and for two repositories with one stream. On an error the results are undefined.
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

// batch is one call of ExecuteAll.
type batch struct {
	parts       []Part
	infos       []partInfo
	store       eventstore.Store
	hooks       Hooks   // of the first part's repository
	queues      *queues // of the first part's repository
	maxAttempts int
}

func newBatch(parts []Part) (*batch, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: there are no commands", eventstore.ErrInvalid)
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
			return nil, fmt.Errorf("%w: command %d (%v) is for another store than command 0", eventstore.ErrInvalid, i, info.command)
		}
	}
	return b, nil
}

// execute is ExecuteAll. Rejection is a *BatchError, err is any other error.
func (b *batch) execute(ctx context.Context) (receipt eventstore.Receipt, rejection, err error) {
	targets := make([]target, len(b.infos))
	for i := range b.infos {
		targets[i] = b.infos[i].target
	}
	key, err := newKey(ctx, targets...)
	if err != nil {
		return eventstore.Receipt{}, nil, err
	}
	receipt, done, err := b.carriedOut(ctx, key)
	if done || err != nil {
		return receipt, nil, err
	}
	err = retried(ctx, b.maxAttempts, b.queues, b.keys(), func(ctx context.Context) (again bool, err error) {
		a := &attempt{streams: make(map[eventstore.StreamID]any)}
		if rejection = b.decide(ctx, a); rejection != nil || len(a.commit.Events) == 0 {
			repeat, done, err := b.carriedOut(ctx, key)
			if done || err != nil {
				receipt, rejection = repeat, nil
				return false, err
			}
			if rejection == nil {
				b.finish(a, eventstore.Receipt{})
			}
			return false, nil
		}
		a.commit.Key, a.commit.Digest = key.id, key.digest
		receipt, err = b.hooks.append(ctx, b.store, a.commit)
		switch {
		case err != nil:
			return errors.Is(err, eventstore.ErrConflict), err
		case receipt.Repeated:
			receipt, err = b.repeated(ctx, key, receipt)
		default:
			b.finish(a, receipt)
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

// decide decides the parts in their order, up to the first one that fails.
func (b *batch) decide(ctx context.Context, a *attempt) error {
	for i, p := range b.parts {
		if refused, err := p.decide(ctx, a); err != nil {
			return &BatchError{Index: i, Type: b.infos[i].command, Stream: b.infos[i].stream, Err: err, Refused: refused}
		}
	}
	return nil
}

func (b *batch) finish(a *attempt, receipt eventstore.Receipt) {
	for _, p := range b.parts {
		p.finish(a, receipt)
	}
}

func (b *batch) carriedOut(ctx context.Context, key commitKey) (eventstore.Receipt, bool, error) {
	receipt, found, err := lookUp(ctx, b.store, key)
	if err != nil || !found {
		return eventstore.Receipt{}, false, err
	}
	receipt, err = b.repeated(ctx, key, receipt)
	return receipt, true, err
}

// repeated sets the results to those of the first time. A part without events is not in the
// receipt, but no stream of another command is in it either.
func (b *batch) repeated(ctx context.Context, key commitKey, receipt eventstore.Receipt) (eventstore.Receipt, error) {
	if err := key.check(receipt); err != nil {
		return eventstore.Receipt{}, err
	}
	mine := make(map[eventstore.StreamID]bool)
	for _, info := range b.infos {
		mine[info.stream] = true
	}
	ours := len(receipt.Heads) > 0
	for _, head := range receipt.Heads {
		ours = ours && mine[head.Stream]
	}
	if !ours {
		return eventstore.Receipt{}, &CommandIDError{CommandID: key.id, Receipt: receipt}
	}
	receipt.Repeated = true
	for i, p := range b.parts {
		if err := p.repeated(ctx, key, receipt); err != nil {
			return eventstore.Receipt{}, fmt.Errorf("stream %s: %w", quote.Name(string(b.infos[i].stream)), err)
		}
	}
	return receipt, nil
}

// attempt is one attempt at a batch: the events that its parts have decided so far.
type attempt struct {
	commit  eventstore.Commit
	streams map[eventstore.StreamID]any // *decided[S, C, E]
}

// decided is an aggregate in an attempt.
type decided[S, C, E any] struct {
	repository *Repository[S, C, E]
	loaded     eventstore.Version // in the log
	at         image[S]           // after the events
	events     []E
}

// command implements part.
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
		target: c.repository.target(stream, c.cmd), store: c.repository.store, hooks: c.repository.hooks,
		maxAttempts: c.repository.maxAttempts, queues: c.repository.queues, command: reflect.TypeOf(c.cmd),
	}, err
}

func (c *command[S, C, E]) decide(ctx context.Context, a *attempt) (refused bool, err error) {
	d, err := c.on(ctx, a)
	if err != nil {
		return false, err
	}
	if err := c.repository.check(ctx, c.conditions, c.repository.Stream(c.id), d.loaded); err != nil {
		return false, err
	}
	var events []E
	asDecide(func() { events, err = c.repository.decider.Decide(d.at.state, c.cmd) })
	if err != nil {
		return true, err
	}
	for _, event := range events {
		encoded, read, err := newEvent(c.ctx, c.repository.registry, c.repository.Stream(c.id), event)
		if err != nil {
			return false, err
		}
		a.commit.Events = append(a.commit.Events, encoded)
		d.at.state = c.repository.decider.Evolve(d.at.state, read.(E))
		d.at.version++
		d.events = append(d.events, read.(E))
	}
	return false, nil
}

// on returns the aggregate after the parts before this one.
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

func (c *command[S, C, E]) finish(a *attempt, receipt eventstore.Receipt) {
	stream := c.repository.Stream(c.id)
	d := a.streams[stream].(*decided[S, C, E])
	if c.repository.snapshots != nil && len(d.events) > 0 {
		c.repository.snapshots.consider(stream, d.at.version, d.at.kept, 0)
	}
	if c.result != nil {
		*c.result = Result[S, E]{State: d.at.state, Version: d.at.version, Events: d.events, Receipt: receipt}
	}
}

func (c *command[S, C, E]) repeated(ctx context.Context, key commitKey, receipt eventstore.Receipt) error {
	if c.result == nil {
		return nil
	}
	r, stream := c.repository, c.repository.Stream(c.id)
	if _, wrote := receipt.Head(stream); wrote {
		result, err := r.repeated(ctx, stream, key, receipt)
		*c.result = result
		return err
	}
	at, err := r.observed(ctx, stream, func(ctx context.Context) (image[S], error) {
		return r.fold(ctx, stream, r.start(), eventstore.ReadOptions{To: receipt.Last}, nil)
	})
	*c.result = Result[S, E]{State: at.state, Version: at.version, Receipt: receipt}
	return err
}

// Retry calls attempt until its error does not match [eventstore.ErrConflict], at most
// maxAttempts times and at least once. In between it waits as a repository does after
// conflicts with other writers; see [Options].MaxAttempts. It is for functions that read,
// decide and append by themselves, and have no effect that must not happen twice.
func Retry(ctx context.Context, maxAttempts int, attempt func(context.Context) error) error {
	return retried(ctx, maxAttempts, nil, nil, func(ctx context.Context) (again bool, err error) {
		err = attempt(ctx)
		return errors.Is(err, eventstore.ErrConflict), err
	})
}
