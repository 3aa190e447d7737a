package aggregate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Decisions carries out decisions over one log. It is safe for concurrent use by multiple
// goroutines. It starts no goroutines and needs no closing. Make one with [NewDecisions].
type Decisions struct {
	store       eventstore.Store
	registry    *codec.Registry
	vocabulary  *vocabulary.Vocabulary
	maxAttempts int
	limits      eventstore.Limits
	hooks       Hooks
	digest      func(cmd any) ([]byte, error)
	queues      queues
}

// NewDecisions returns a Decisions over the store, which the caller closes, with the
// registry of the events' names. Nil options mean the defaults. All faults are returned at
// once, in an error that matches [eventstore.ErrInvalid]: a store that is nil or a nil
// pointer, a nil registry, options out of range.
func NewDecisions(store eventstore.Store, registry *codec.Registry, opts *Options) (*Decisions, error) {
	d := &Decisions{
		store: store, registry: registry, vocabulary: vocabulary.New(registry), maxAttempts: defaultMaxAttempts,
	}
	if opts != nil && opts.MaxAttempts != 0 {
		d.maxAttempts = opts.MaxAttempts
	}
	if opts != nil && opts.Hooks != nil {
		d.hooks = *opts.Hooks
	}
	d.digest = CommandDigest
	if opts != nil && opts.Digest != nil {
		d.digest = opts.Digest
	}
	var faults []error
	if err := given.Store(store); err != nil {
		faults = append(faults, err)
	} else {
		d.limits = store.Info().Limits
	}
	if registry == nil {
		faults = append(faults, errors.New("the registry is nil"))
	}
	if d.maxAttempts < 0 {
		faults = append(faults, errors.New("MaxAttempts is negative"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("new decisions: %w: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return d, nil
}

// Decided is the outcome of a decision. It belongs to the caller.
type Decided struct {
	// Events are those of the decision, as they are read from the log, without their
	// streams; none if it was refused or there was nothing to do.
	Events []any
	// Receipt is the receipt of the commit, or the zero Receipt if nothing was appended.
	// Its Repeated is true if the command had been carried out before.
	Receipt eventstore.Receipt
	// Refused is true if Decide refused: then the error that comes with the Decided is
	// Decide's own. Any other error is a fault.
	Refused bool
}

// Execute carries out a decision: it reads the events of all models up to one position of
// the log, sets the models' variables, calls Decide, and appends the events, all or none, if
// no event that a model selects has come after that position. Otherwise it reads the new
// events and decides again, up to [Options].MaxAttempts times.
//
// If ctx carries a command id, the decision is carried out once, as by
// [Repository.Execute]. If it was carried out before, the answer is the first receipt with
// its events as they decode today.
//
// An error of Decide is returned as it is; the variables hold the states that were decided
// on. In all other cases they are undefined: decided events are folded into the models that
// select them before they are appended, so that the events of an aggregate, and those of a
// model of at most 1,000 events, are not in the log when a handler panics. Any other error
// wraps its cause: [eventstore.ErrInvalid] for an invalid decision or
// model, with all faults; or an error of [eventstore.Store], which matches
// [eventstore.ErrConflict] when the attempts are used up, or at once if an expectation does
// not hold because of an event that was in the log when Decide was called. On any error but
// [eventstore.ErrUnknownOutcome] nothing was appended; after that one, send the command
// again with the same command id.
func (d *Decisions) Execute(ctx context.Context, decision Decision) (Decided, error) {
	decided, rejection, err := d.execute(ctx, decision)
	if err != nil {
		return Decided{}, fmt.Errorf("execute decision: %w", err)
	}
	return decided, rejection
}

// execute is Execute. Rejection is an error of Decide, err is any other one.
func (d *Decisions) execute(ctx context.Context, decision Decision) (decided Decided, rejection, err error) {
	foldings, err := decision.Models.resolve(d.vocabulary)
	if err == nil && decision.Decide == nil {
		err = fmt.Errorf("%w: Decide is nil", eventstore.ErrInvalid)
	}
	if err != nil {
		return Decided{}, nil, err
	}
	key, err := newKey(ctx, decision.target(d.digest))
	if err != nil {
		return Decided{}, nil, err
	}
	decided, done, err := d.carriedOut(ctx, key)
	if done || err != nil {
		return decided, nil, err
	}
	keys := guardKeys(foldings)
	err = retried(ctx, d.maxAttempts, &d.queues, keys, func(ctx context.Context) (again bool, err error) {
		through, err := d.fold(ctx, foldings)
		if err != nil {
			return false, err
		}
		var events []any
		asDecide(func() { events, rejection = decision.events() })
		if rejection != nil || len(events) == 0 {
			repeat, done, err := d.carriedOut(ctx, key)
			if done || err != nil {
				decided, rejection = repeat, nil
				return false, err
			}
			decided = Decided{Refused: rejection != nil}
			return false, nil
		}
		commit, plain, err := d.commit(ctx, &decision, events)
		if err == nil {
			err = d.try(ctx, foldings, commit.Events, plain, through)
		}
		if err != nil {
			return false, err
		}
		commit.Key, commit.Digest, commit.Guards = key.id, key.digest, guards(foldings, through)
		decided, err = d.append(ctx, key, commit, plain)
		return overcome(err, through), err
	})
	return decided, rejection, err
}

// CommandHandler returns a function for command.Handle, which carries out the decision that
// decide returns for a command. If d or decide is nil, it returns nil, which command.Handle
// refuses.
func CommandHandler[C any](d *Decisions, decide func(C) Decision) func(context.Context, C) (Decided, eventstore.Receipt, error) {
	if d == nil || decide == nil {
		return nil
	}
	return func(ctx context.Context, cmd C) (Decided, eventstore.Receipt, error) {
		decision := decide(cmd)
		if decision.Command == nil {
			decision.Command = cmd
		}
		decided, err := d.Execute(ctx, decision)
		return decided, decided.Receipt, err
	}
}

// Load sets the variables of the models to their states as of one position, the head of the
// log. It returns a guard for each model, in their order, which holds until an event changes
// the model's state. Use it for a question, or to append a commit under the guards.
func (d *Decisions) Load(ctx context.Context, models ...BoundModel) ([]eventstore.Guard, error) {
	foldings, err := Models(models).resolve(d.vocabulary)
	if err != nil {
		return nil, fmt.Errorf("load models: %w", err)
	}
	through, err := d.fold(ctx, foldings)
	if err != nil {
		return nil, fmt.Errorf("load models: %w", err)
	}
	return guards(foldings, through), nil
}

// guardKeys returns the keys of the guards that guards returns.
func guardKeys(foldings []*folding) []conflictKey {
	keys := make([]conflictKey, len(foldings))
	for i, f := range foldings {
		keys[i] = guardKey(f.stored)
	}
	return keys
}

// guards returns a guard for each folding, so that a conflict names the model.
func guards(foldings []*folding, through eventstore.Position) []eventstore.Guard {
	guards := make([]eventstore.Guard, len(foldings))
	for i, f := range foldings {
		guards[i] = eventstore.Guard{Query: f.stored, After: through}
	}
	return guards
}

// overcome reports whether the error is a conflict with an event after the ones that were
// decided on, so that the next attempt will have read that event.
func overcome(err error, through eventstore.Position) bool {
	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		return conflict.Guard != nil || conflict.Position > through
	}
	return errors.Is(err, eventstore.ErrConflict)
}

// append appends decided events, and returns the outcome.
func (d *Decisions) append(ctx context.Context, key commitKey, commit eventstore.Commit, plain []any) (Decided, error) {
	receipt, err := d.hooks.append(ctx, d.store, commit)
	switch {
	case err != nil:
		return Decided{}, err
	case receipt.Repeated:
		return d.repeated(ctx, key, receipt)
	default:
		return Decided{Events: plain, Receipt: receipt}, nil
	}
}

// commit returns the commit of the decided events, and the events as they will be read.
func (d *Decisions) commit(ctx context.Context, decision *Decision, decided []any) (eventstore.Commit, []any, error) {
	plain := make([]any, len(decided))
	events := make([]eventstore.NewEvent, len(decided))
	for i := range decided {
		stream, event := addressed(decided[i])
		encoded, read, err := newEvent(ctx, d.registry, stream, event)
		if err != nil {
			return eventstore.Commit{}, nil, err
		}
		if in, isIn := decided[i].(InStream); isIn && in.Stream == "" {
			return eventstore.Commit{}, nil, fmt.Errorf("%w: event %d (%T) is for a stream without a name", eventstore.ErrInvalid, i, event)
		}
		if err := reserved.Stream(string(stream)); err != nil {
			return eventstore.Commit{}, nil, fmt.Errorf("%w: event %d (%T): %w", eventstore.ErrInvalid, i, event, err)
		}
		plain[i], events[i] = read, encoded
	}
	return eventstore.Commit{Events: events, Expect: decision.expectations(events)}, plain, nil
}

// triedEvents is the number of events of a model up to which decided events are folded into
// it before they are appended. After a conflict the model's events are read again.
const triedEvents = 1_000

// try folds decided events into the models that select them. What a handler cannot take is
// then not in the log when it panics.
func (d *Decisions) try(
	ctx context.Context, foldings []*folding, decided []eventstore.NewEvent, values []any, through eventstore.Position,
) error {
	foldings = slices.DeleteFunc(slices.Clone(foldings), func(f *folding) bool { return !f.whole && f.events > triedEvents })
	if len(foldings) == 0 {
		return nil
	}
	events, known := d.foreseen(ctx, decided, through)
	if !known {
		return nil // the append reports what is wrong with the store
	}
	for _, f := range foldings {
		if f.last {
			f.initial() // it is given one event only
		}
		for i := range events {
			e, value := events[i], values[i]
			if f.last {
				e, value = events[len(events)-1-i], values[len(events)-1-i]
			}
			fed, err := d.feed(f, e, []any{value})
			if err != nil {
				return err
			}
			if f.tried = f.tried || fed || f.last; fed && f.last {
				break
			}
		}
	}
	return nil
}

// foreseen returns decided events as they will be read if nothing comes between, unless the
// version of a stream cannot be read.
func (d *Decisions) foreseen(
	ctx context.Context, decided []eventstore.NewEvent, through eventstore.Position,
) (_ []eventstore.Event, known bool) {
	versions := make(map[eventstore.StreamID]eventstore.Version)
	now := time.Now().UTC()
	events := make([]eventstore.Event, len(decided))
	for i, e := range decided {
		events[i] = eventstore.Event{
			Position: through + eventstore.Position(i) + 1, Stream: e.Stream, Type: e.Type, SchemaVersion: e.SchemaVersion,
			Codec: e.Codec, Data: e.Data, Metadata: e.Metadata, Tags: e.Tags, Time: e.Time.UTC(), Recorded: now,
		}
		_, _ = rand.Read(events[i].ID[:]) // which never fails
		if e.Time.IsZero() {
			events[i].Time = now
		}
		if e.Stream == "" {
			continue
		}
		if _, known := versions[e.Stream]; !known {
			version, err := eventstore.VersionOf(ctx, d.store, e.Stream)
			if err != nil {
				return nil, false
			}
			versions[e.Stream] = version
		}
		versions[e.Stream]++
		events[i].Version = versions[e.Stream]
	}
	return events, true
}

// carriedOut returns the outcome of the decision with this key if it was carried out before.
func (d *Decisions) carriedOut(ctx context.Context, key commitKey) (Decided, bool, error) {
	receipt, found, err := lookUp(ctx, d.store, key)
	if !found || err != nil {
		return Decided{}, false, err
	}
	decided, err := d.repeated(ctx, key, receipt)
	return decided, true, err
}

// repeated returns the outcome of a decision that was carried out before.
func (d *Decisions) repeated(ctx context.Context, key commitKey, receipt eventstore.Receipt) (Decided, error) {
	if err := key.check(receipt); err != nil {
		return Decided{}, err
	}
	decided := Decided{Receipt: receipt}
	commit := eventstore.ReadOptions{From: receipt.First, To: receipt.Last}
	for stored, err := range d.store.Read(ctx, eventstore.All(), commit) {
		var values []any
		if err == nil {
			values, err = d.vocabulary.Decode(stored)
		}
		if err != nil {
			return Decided{}, err
		}
		decided.Events = append(decided.Events, values...)
	}
	return decided, nil
}

// fold folds the new events into the foldings, sets the models' variables, and returns the
// position of the last event, the head.
func (d *Decisions) fold(ctx context.Context, foldings []*folding) (through eventstore.Position, err error) {
	_, err = d.hooks.load(ctx, "", func(ctx context.Context) (loaded Loaded, err error) {
		through, loaded.Events, err = d.foldNew(ctx, foldings)
		return loaded, err
	})
	return through, err
}

// foldNew is fold, and returns the number of events that it read, too.
func (d *Decisions) foldNew(
	ctx context.Context, foldings []*folding,
) (head eventstore.Position, events int, err error) {
	if head, err = d.store.Head(ctx); err != nil {
		return 0, 0, err
	}
	for _, f := range foldings {
		if f.tried { // so it has events that are not in the log
			f.reset()
		}
		head = max(head, f.through)
	}
	for _, together := range d.reads(foldings) {
		window := eventstore.ReadOptions{From: together[0].through + 1, To: head}
		if window.From > head { // also if the log is empty: To 0 would be no bound
			continue
		}
		n, err := d.read(ctx, together, window)
		if err != nil {
			return 0, 0, err
		}
		events += n
	}
	for _, f := range foldings {
		f.through = head
		f.publish()
	}
	return head, events, nil
}

// reads groups the foldings that can be read together: all that need every event after the
// same position, unless their queries together have more items than one query may have.
func (d *Decisions) reads(foldings []*folding) [][]*folding {
	var reads [][]*folding
	var together []*folding
	items, names := 0, 0
	for _, f := range foldings {
		n, m := len(f.stored.Items()), namesIn(f.stored)
		if f.last {
			reads = append(reads, []*folding{f})
			continue
		}
		if len(together) > 0 && (f.through != together[0].through ||
			items+n > d.limits.ItemsPerQuery || names+m > d.limits.NamesPerQuery) {
			reads = append(reads, together)
			together, items, names = nil, 0, 0
		}
		together = append(together, f)
		items += n
		names += m
	}
	if len(together) > 0 {
		reads = append(reads, together)
	}
	return reads
}

// namesIn returns the number of names in a query.
func namesIn(q eventstore.Query) int {
	n := 0
	for _, item := range q.Items() {
		n += len(item.Streams) + len(item.Categories) + len(item.Types) + len(item.Tags)
	}
	return n
}

// read folds the events of a window into the foldings that select them, and returns the
// number of events that it read. A folding that needs only the last event is read alone.
func (d *Decisions) read(ctx context.Context, foldings []*folding, window eventstore.ReadOptions) (events int, err error) {
	queries := make([]eventstore.Query, len(foldings))
	for i, f := range foldings {
		queries[i] = f.stored
	}
	window.Backward = foldings[0].last
	for stored, err := range d.store.Read(ctx, eventstore.Union(queries...), window) {
		if err != nil {
			return events, err
		}
		events++
		values, err := d.vocabulary.Decode(stored)
		if err != nil {
			return events, err
		}
		for _, f := range foldings {
			fed, err := d.feed(f, stored, values)
			if err != nil {
				return events, err
			}
			if fed {
				f.events++
			}
			if fed && f.last {
				return events, nil
			}
		}
	}
	return events, nil
}

// feed folds those of an event's values that the folding selects, and reports whether there
// were any.
func (d *Decisions) feed(f *folding, stored eventstore.Event, values []any) (fed bool, err error) {
	for _, value := range values {
		if !d.vocabulary.Asks(f.asked, stored, value) {
			continue
		}
		taken := f.apply(stored, value)
		if !taken && f.whole {
			return false, fmt.Errorf("position %d: event type %s version %d is %T, which is not an event of stream %s",
				stored.Position, quote.Name(stored.Type), stored.SchemaVersion, value, quote.Name(string(stored.Stream)))
		}
		fed = fed || taken
	}
	return fed, nil
}
