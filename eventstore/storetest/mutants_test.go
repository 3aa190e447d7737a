package storetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// impatience is how long a mutant may keep a rule waiting.
const impatience = 300 * time.Millisecond

// TestMutants proves that the rules find faults. Each mutant is a store that is
// broken on purpose, as real stores have been. At least one rule of its family must
// fail on it, and each rule must fail on at least one mutant.
func TestMutants(t *testing.T) {
	var mu sync.Mutex
	bites := make(map[string]bool)
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants() {
			t.Run(m.family+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				failed := failures(t, m)
				require.NotEmpty(t, failed, "no rule of %q fails on this store", m.family)
				mu.Lock()
				defer mu.Unlock()
				for _, name := range failed {
					bites[m.family+"/"+name] = true
				}
			})
		}
	})
	for _, f := range families() {
		for _, r := range f.rules {
			if !bites[f.name+"/"+r.name] {
				t.Errorf("no mutant fails the rule %s/%s", f.name, r.name)
			}
		}
	}
}

// failures returns the rules of its family that fail on a mutant. Several rules run
// at a time, since most of them wait on a mutant.
func failures(t *testing.T, m mutant) []string {
	var mu sync.Mutex
	var failed []string
	var all sync.WaitGroup
	places := make(chan struct{}, 4)
	for _, r := range rulesOf(t, m.family) {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			rec := &recorder{TB: t}
			rec.run(m.config(), r, m.patience())
			mu.Lock()
			defer mu.Unlock()
			if len(rec.failures) > 0 {
				failed = append(failed, r.name)
				t.Logf("%s: %.300s", r.name, rec.failures[0])
			}
		})
	}
	all.Wait()
	return failed
}

func mutants() []mutant {
	return slices.Concat(positionMutants(), versionMutants(), commitMutants(), keyMutants(), repeatMutants(), guardMutants(),
		eventMutants(), limitMutants(), queryMutants(), nameMutants(), readMutants(), snapshotMutants(),
		followMutants(), batchMutants(), lifeMutants(), rowMutants(), rowLimitMutants(), scanMutants(), checkpointMutants(),
		inlineMutants(), faultMutants(), lateMutants())
}

// TestMutants_Control proves that the mutants fail because of their faults: the same
// store without a fault passes every rule, and skips none.
func TestMutants_Control(t *testing.T) {
	intact := mutant{}
	for _, f := range families() {
		for _, r := range f.rules {
			rec := &recorder{TB: t}
			rec.run(intact.config(), r, patience)
			require.Empty(t, rec.failures, "%s/%s", f.name, r.name)
			require.Empty(t, rec.skips, "%s/%s", f.name, r.name)
		}
	}
}

// TestMutants_EveryFamily holds that each family has mutants and that its rules have
// different names.
func TestMutants_EveryFamily(t *testing.T) {
	count := make(map[string]int)
	for _, m := range mutants() {
		count[m.family]++
	}
	for _, f := range families() {
		require.GreaterOrEqual(t, count[f.name], 2, "mutants of %q", f.name)
		names := make(map[string]bool)
		for _, r := range f.rules {
			require.False(t, names[r.name], "two rules %q", r.name)
			names[r.name] = true
		}
	}
}

func rulesOf(t *testing.T, name string) []rule {
	for _, f := range families() {
		if f.name == name {
			return f.rules
		}
	}
	t.Fatalf("no family %q", name)
	return nil
}

// mutant is a store in memory with a fault that the rules of the family must find.
type mutant struct {
	family, name string
	breaks       func(f *faults)
}

// faults replace methods of a store. Each function gets the intact store as its
// first argument; nil leaves the method as it is.
type faults struct {
	append func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error)
	lookup func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error)
	read   func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error]
	follow func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error]
	head   func(s eventstore.Store, ctx context.Context) (eventstore.Position, error)
	info   func(s eventstore.Store) eventstore.Info
	close  func(s eventstore.Store) error

	event   func(e *eventstore.Event) // changes every event that is read or followed
	batch   func(b *eventstore.Batch) // changes every batch
	options func(o *memstore.Options) // changes how the store is made
	config  func(cfg *Config)         // changes how it is opened

	rowFaults
}

// patience returns the time for which the mutant may block a rule.
func (m mutant) patience() time.Duration {
	if m.family == "row limits" {
		return patience // these rules are slow, and their mutants do not block
	}
	if m.family == "late" {
		return 4 * time.Second // these rules wait for views that overrun
	}
	return impatience
}

// config opens stores with the mutant's fault. A store without a fault keeps the
// contract and has every ability that a Config can name.
func (m mutant) config() Config {
	var f faults
	open := func(log *memstore.Store, readOnly bool) eventstore.Store {
		return &broken{Store: newMemory(log, readOnly), faults: &f}
	}
	logOf := func(s eventstore.Store) *memstore.Store { return s.(*broken).Store.(*memory).log }
	cfg := Config{
		Open: func(testing.TB) eventstore.Store {
			f = faults{}
			if m.breaks != nil {
				m.breaks(&f)
			}
			var opts memstore.Options
			if f.options != nil {
				f.options(&opts)
			}
			return open(memstore.New(&opts), false)
		},
		Reopen:       func(_ testing.TB, s eventstore.Store) eventstore.Store { return open(reopened(logOf(s)), false) },
		OpenReadOnly: func(_ testing.TB, s eventstore.Store) eventstore.Store { return open(reopened(logOf(s)), true) },
		OpenSecond: func(testing.TB, eventstore.Store) (eventstore.Store, error) {
			return nil, fmt.Errorf("open: %w", eventstore.ErrLocked)
		},
		OpenNewer: func(testing.TB) (eventstore.Store, error) { return nil, eventstore.ErrFormat },
		Verify:    func(testing.TB, eventstore.Store) {},
	}
	if m.breaks != nil {
		var probe faults
		m.breaks(&probe)
		if probe.config != nil {
			probe.config(&cfg)
		}
	}
	return cfg
}

// broken is a store with faults.
type broken struct {
	eventstore.Store
	*faults
}

func (b *broken) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if b.append != nil {
		return b.append(b.Store, ctx, c)
	}
	return b.Store.Append(ctx, c)
}

func (b *broken) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	if b.lookup != nil {
		return b.lookup(b.Store, ctx, key)
	}
	return b.Store.Lookup(ctx, key)
}

func (b *broken) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	seq := b.Store.Read(ctx, q, opts)
	if b.read != nil {
		seq = b.read(b.Store, ctx, q, opts)
	}
	if b.event == nil {
		return seq
	}
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range seq {
			if err == nil {
				b.event(&e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (b *broken) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	seq := b.Store.Follow(ctx, q, after)
	if b.follow != nil {
		seq = b.follow(b.Store, ctx, q, after)
	}
	return func(yield func(eventstore.Batch, error) bool) {
		for batch, err := range seq {
			for i := range batch.Events {
				if b.event != nil {
					b.event(&batch.Events[i])
				}
			}
			if b.batch != nil && err == nil {
				b.batch(&batch)
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

func (b *broken) Head(ctx context.Context) (eventstore.Position, error) {
	if b.head != nil {
		return b.head(b.Store, ctx)
	}
	return b.Store.Head(ctx)
}

func (b *broken) Info() eventstore.Info {
	if b.info != nil {
		return b.info(b.Store)
	}
	return b.Store.Info()
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close(b.Store)
	}
	return b.Store.Close()
}

// memory is a store in memory whose log outlives it and can be opened again.
type memory struct {
	log      *memstore.Store
	readOnly bool
	open     context.Context // ends with Close
	end      context.CancelFunc
}

func newMemory(log *memstore.Store, readOnly bool) *memory {
	open, end := context.WithCancel(context.Background())
	return &memory{log: log, readOnly: readOnly, open: open, end: end}
}

func (m *memory) closed() error {
	if m.open.Err() != nil {
		return eventstore.ErrClosed
	}
	return nil
}

func (m *memory) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if m.readOnly {
		return eventstore.Receipt{}, eventstore.ErrReadOnly
	}
	if err := m.closed(); err != nil {
		return eventstore.Receipt{}, err
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.open, cancel)()
	return m.log.Append(whileOpen{ctx, waiting.Done(), m}, c)
}

// whileOpen is a context that ends, with ErrClosed, also when its store is closed.
type whileOpen struct {
	context.Context
	done  <-chan struct{}
	store *memory
}

func (c whileOpen) Done() <-chan struct{} { return c.done }

func (c whileOpen) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	return c.store.closed()
}

func (m *memory) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	if err := m.closed(); err != nil {
		return eventstore.Receipt{}, false, err
	}
	return m.log.Lookup(ctx, key)
}

func (m *memory) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range m.log.Read(ctx, q, opts) {
			if m.closed() != nil {
				yield(eventstore.Event{}, eventstore.ErrClosed)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (m *memory) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(m.open, cancel)()
		for b, err := range m.log.Follow(ctx, q, after) {
			if m.closed() != nil {
				b, err = eventstore.Batch{}, eventstore.ErrClosed
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

func (m *memory) Head(ctx context.Context) (eventstore.Position, error) {
	if err := m.closed(); err != nil {
		return 0, err
	}
	return m.log.Head(ctx)
}

func (m *memory) Info() eventstore.Info { return m.log.Info() }

func (m *memory) Close() error {
	m.end()
	return nil
}

// recorder replaces the testing.TB of a rule and keeps what the rule reports.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	skips    []string
	cleanups []func()
}

// run runs a rule on a store. It returns when everything that the rule started has
// been told to end.
func (r *recorder) run(cfg Config, held rule, patience time.Duration) {
	check(r, cfg, held, patience)
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

func (r *recorder) note(list *[]string, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, message)
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(f func())  { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fail()             { r.note(&r.failures, "failed") }
func (r *recorder) Error(args ...any) { r.note(&r.failures, fmt.Sprint(args...)) }
func (r *recorder) Skip(args ...any)  { r.note(&r.skips, fmt.Sprint(args...)) }
func (r *recorder) Logf(string, ...any) {
}
func (r *recorder) Errorf(format string, args ...any) {
	r.note(&r.failures, fmt.Sprintf(format, args...))
}
