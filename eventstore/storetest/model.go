package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

const (
	seedVariable = "YORE_SEED" // repeats the run with one seed
	modelRuns    = 4           // each with a new seed
	modelSteps   = 500         // of a run; a third of that with go test -short
	shownSteps   = 25          // how many steps a failure prints
)

// RunModel sends the same random commits, reads, follows, lookups and reopenings to
// two stores and compares the answers. If both are RowStores, it also sends commits,
// reads and scans of rows, and attaches an inline view. The oracle is a store that
// is known to be right and leaves no gaps between positions, such as memstore; only
// its Open is used. A run that fails prints its seed and its last steps; the
// environment variable YORE_SEED repeats it.
func RunModel(t *testing.T, subject, oracle Config) {
	var seeds []uint64
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: expected a number", seedVariable, text)
		}
		seeds = append(seeds, seed)
	}
	for len(seeds) < modelRuns && os.Getenv(seedVariable) == "" {
		seeds = append(seeds, rand.Uint64())
	}
	steps := modelSteps
	if testing.Short() {
		steps /= 3
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			check(t, subject, modelRule(oracle, seed, steps), patience)
		})
	}
}

// modelRule is the rule that a store answers as the oracle does, for a number of
// steps.
func modelRule(oracle Config, seed uint64, steps int) rule {
	return rule{"answers as the oracle does", func(h *harness) {
		m := &model{
			h: h, seed: seed, oracle: oracle.Open(h), rnd: rand.New(rand.NewPCG(seed, seed)),
			versions: make(map[eventstore.StreamID]eventstore.Version),
		}
		h.Cleanup(func() { _ = m.oracle.Close() })
		h.Logf("%s=%d", seedVariable, seed)
		m.live = h.follow(eventstore.All(), 0)
		for range steps {
			m.step()
		}
		m.finish()
	}}
}

// model is a run. Positions are the oracle's, 1, 2, 3 …, until they are passed to
// the subject.
type model struct {
	h      *harness // holds the subject
	seed   uint64
	oracle eventstore.Store
	rnd    *rand.Rand
	log    []string // a line per step

	// The subject's positions, by the oracle's position less 1.
	positions []eventstore.Position
	recorded  []time.Time
	ids       []uuid.UUID

	versions map[eventstore.StreamID]eventstore.Version
	sent     []eventstore.Commit
	keys     []string

	live     *follower // follows during the whole run
	liveSeen []eventstore.Event

	rows rowModel
}

func (m *model) step() {
	if m.keepsRows() && m.chance(30) {
		m.rowStep()
		return
	}
	switch n := m.rnd.IntN(100); {
	case n < 50:
		m.send(m.newCommit())
	case n < 62:
		m.send(m.oldCommit())
	case n < 82:
		m.read()
	case n < 87:
		m.lookup()
	case n < 90:
		m.head()
	case n < 94:
		m.follow()
	case n < 97:
		m.followLive()
	default:
		m.reopen()
	}
}

// note begins a step.
func (m *model) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%4d  ", len(m.log)+1)+fmt.Sprintf(format, args...))
}

// fail ends the run with its seed and its last steps.
func (m *model) fail(format string, args ...any) {
	m.h.Helper()
	shown := m.log[max(0, len(m.log)-shownSteps):]
	m.h.Fatalf("%s\nin step %d of the run with %s=%d; the last steps:\n%s",
		fmt.Sprintf(format, args...), len(m.log), seedVariable, m.seed, strings.Join(shown, "\n"))
}

// send appends a commit to both stores.
func (m *model) send(c eventstore.Commit) {
	m.note("append %s", sayCommit(c))
	if m.sent = append(m.sent, c); len(m.sent) > 40 {
		m.sent = m.sent[1:]
	}
	if eventstore.ValidateKey(c.Key) == nil {
		m.keys = append(m.keys, c.Key)
	}
	expected, expectedErr := m.oracle.Append(m.h.ctx, c)
	for i := range c.Guards {
		if i == 0 {
			c.Guards = slices.Clone(c.Guards)
		}
		c.Guards[i].After = m.toSubject(c.Guards[i].After)
	}
	found, err := m.h.try(c)
	if !m.sameError("Append", expectedErr, err) {
		m.log[len(m.log)-1] += " -> " + err.Error()
		return
	}
	if !expected.Repeated {
		m.learn(expected, found)
	}
	expected.First, expected.Last = m.toSubject(expected.First), m.toSubject(expected.Last)
	m.sameReceipt("Append", expected, found)
	m.log[len(m.log)-1] += fmt.Sprintf(" -> %d to %d, repeated %v", found.First, found.Last, found.Repeated)
}

// learn takes over what a store chooses for a new commit: positions, ids and the
// recorded time.
func (m *model) learn(expected, found eventstore.Receipt) {
	stored, err := m.h.tryRead(m.h.ctx, eventstore.All(), eventstore.ReadOptions{From: found.First, To: found.Last})
	if n := int(expected.Last - expected.First + 1); err != nil || len(stored) != n {
		m.fail("reading back a commit of %d events at %d to %d: expected them, found %d (%v)", n, found.First, found.Last, len(stored), err)
	}
	for _, e := range stored {
		if n := len(m.positions); n > 0 && (e.Position <= m.positions[n-1] || e.Recorded.Before(m.recorded[n-1])) {
			m.fail("after position %d, recorded %v: expected a later event, found %s", m.positions[n-1], m.recorded[n-1], describe(e))
		}
		m.positions = append(m.positions, e.Position)
		m.recorded = append(m.recorded, e.Recorded)
		m.ids = append(m.ids, e.ID)
	}
	for _, head := range expected.Heads {
		m.versions[head.Stream] = head.Version
	}
	own := m.sent[len(m.sent)-1].Events
	for i, e := range m.expected(eventstore.All(), expected.First, expected.Last) {
		if own[i].ID != uuid.Nil {
			e.ID = own[i].ID
		}
		if !same(e, stored[i]) {
			m.fail("event %d of the commit: expected %s, found %s", i+1, describe(e), describe(stored[i]))
		}
	}
}

// expected returns the matching events between two positions, as the subject must
// yield them.
func (m *model) expected(q eventstore.Query, from, to eventstore.Position) []eventstore.Event {
	var events []eventstore.Event
	for e, err := range m.oracle.Read(m.h.ctx, q, eventstore.ReadOptions{From: from, To: to}) {
		if err != nil {
			m.fail("the oracle: Read: %v", err)
		}
		i := e.Position - 1
		if e.Time.Equal(e.Recorded) {
			e.Time = m.recorded[i]
		}
		e.Position, e.Recorded, e.ID = m.positions[i], m.recorded[i], m.ids[i]
		events = append(events, e)
	}
	return events
}

func (m *model) read() {
	q, opts := m.query(), eventstore.ReadOptions{Backward: m.chance(40)}
	if m.chance(40) {
		opts.From = m.position()
	}
	if m.chance(40) {
		opts.To = m.position()
	}
	if m.chance(40) {
		opts.Limit = 1 + m.rnd.IntN(10)
	}
	if len(m.recorded) > 0 && m.chance(15) {
		opts.AsOf = m.recorded[m.rnd.IntN(len(m.recorded))].Add(time.Duration(m.rnd.IntN(3) - 1))
	}
	if _, one := q.OneStream(); one && m.chance(30) || m.chance(3) {
		opts.FromVersion = eventstore.Version(m.rnd.IntN(12))
	}
	if _, one := q.OneStream(); one && m.chance(30) || m.chance(3) {
		opts.ToVersion = eventstore.Version(m.rnd.IntN(12))
	}
	if m.chance(3) {
		opts.Limit = -1
	}
	if m.chance(3) {
		q = eventstore.Query{}
	}
	m.note("read %v with %+v", q, opts)
	refused := eventstore.ValidateRead(q, opts)
	var expected []eventstore.Event
	if refused == nil {
		expected = m.expected(q, opts.From, opts.To)
	}
	opts.From, opts.To = m.toSubject(opts.From), m.toSubject(opts.To)
	found, err := m.h.tryRead(m.h.ctx, q, opts)
	if m.sameError("Read", refused, err) {
		m.sameEvents("Read", bounded(expected, opts), found)
	}
}

func (m *model) lookup() {
	key := "key of nothing"
	if len(m.keys) > 0 && m.chance(80) {
		key = m.keys[m.rnd.IntN(len(m.keys))]
	}
	m.note("lookup %q", key)
	expected, expectedFound, err := m.oracle.Lookup(m.h.ctx, key)
	if err != nil {
		m.fail("the oracle: Lookup: %v", err)
	}
	receipt, found, err := m.h.store.Lookup(m.h.ctx, key)
	if err != nil || found != expectedFound {
		m.fail("Lookup: expected found %v, found %v (%v)", expectedFound, found, err)
	}
	expected.First, expected.Last = m.toSubject(expected.First), m.toSubject(expected.Last)
	m.sameReceipt("Lookup", expected, receipt)
}

func (m *model) head() {
	m.note("head")
	head, err := m.h.store.Head(m.h.ctx)
	if last := m.toSubject(m.last()); err != nil || head != last {
		m.fail("Head: expected %d, found %d (%v)", last, head, err)
	}
}

func (m *model) follow() {
	q, after := m.query(), m.position()
	m.note("follow %v after %d", q, after)
	f := m.h.follow(q, m.toSubject(after))
	defer f.stop()
	if after > m.last() {
		if err := f.ended(); !errors.Is(err, eventstore.ErrInvalid) {
			m.fail("Follow after %d, beyond the head: expected %v, found %v", after, eventstore.ErrInvalid, err)
		}
		return
	}
	m.sameEvents("Follow", m.expected(q, after+1, 0), f.reach(m.toSubject(m.last())))
}

// followLive compares the next batches of the follower live.
func (m *model) followLive() {
	m.note("follow on after %d", m.live.through)
	if last := m.toSubject(m.last()); m.live.batches == 0 || m.live.through < last {
		m.liveSeen = append(m.liveSeen, m.live.reach(last)...)
	}
	m.sameEvents("the follower that stays", m.expected(eventstore.All(), 0, 0), m.liveSeen)
}

func (m *model) reopen() {
	if m.h.cfg.Reopen == nil {
		return
	}
	m.note("reopen")
	m.h.reopen()
	m.live = m.h.follow(m.live.query, m.live.through)
	m.attachAgain()
}

// finish compares the whole logs, and again after reopening.
func (m *model) finish() {
	for range 2 {
		m.note("compare the logs")
		for _, q := range append(m.everyStream(), eventstore.All()) {
			for _, opts := range []eventstore.ReadOptions{{}, {Backward: true}} {
				found, err := m.h.tryRead(m.h.ctx, q, opts)
				m.sameError("Read", nil, err)
				m.sameEvents(fmt.Sprintf("Read of %v with %+v", q, opts), bounded(m.expected(q, 0, 0), opts), found)
			}
		}
		m.head()
		m.followLive()
		m.finishRows()
		m.reopen()
	}
}

// last returns the oracle's head.
func (m *model) last() eventstore.Position { return eventstore.Position(len(m.positions)) }

// toSubject returns the subject's position of the event at p in the oracle.
func (m *model) toSubject(p eventstore.Position) eventstore.Position {
	switch last := m.last(); {
	case p == 0:
		return 0
	case p <= last:
		return m.positions[p-1]
	case last == 0:
		return p
	default:
		return m.positions[last-1] + p - last
	}
}

// sameEvents compares events.
func (m *model) sameEvents(what string, expected, found []eventstore.Event) {
	m.h.Helper()
	if difference := diff(expected, found); difference != "" {
		m.fail("%s: %s", what, difference)
	}
}

// sameReceipt compares receipts. expected has the subject's positions and the
// oracle's recorded time.
func (m *model) sameReceipt(what string, expected, found eventstore.Receipt) {
	m.h.Helper()
	if i := sort.Search(len(m.positions), func(i int) bool { return m.positions[i] >= expected.First }); expected.First > 0 {
		expected.Recorded = m.recorded[i]
	}
	if len(expected.Heads) == 0 {
		expected.Heads = found.Heads[:0:0]
	}
	sameTime := expected.Recorded.Equal(found.Recorded)
	expected.Recorded = found.Recorded
	if !sameTime || !reflect.DeepEqual(expected, found) {
		m.fail("%s: expected the receipt %+v, found %+v", what, expected, found)
	}
}

// sameError compares errors, and conflicts by all fields. It reports whether there
// is no error.
func (m *model) sameError(what string, expected, found error) bool {
	m.h.Helper()
	if (expected == nil) != (found == nil) {
		m.fail("%s: expected the error %v, found %v", what, expected, found)
	}
	for _, sentinel := range []error{eventstore.ErrInvalid, eventstore.ErrTooLarge, eventstore.ErrConflict} {
		if errors.Is(expected, sentinel) != errors.Is(found, sentinel) {
			m.fail("%s: expected the error %v, found %v", what, expected, found)
		}
	}
	var wanted, conflict *eventstore.ConflictError
	if errors.As(expected, &wanted) && (!errors.As(found, &conflict) || !m.sameConflict(*wanted, *conflict)) {
		m.fail("%s: expected the conflict %+v (%v), found %+v (%v)", what, wanted, wanted, conflict, found)
	}
	return expected == nil
}

func (m *model) sameConflict(expected, found eventstore.ConflictError) bool {
	if (expected.Guard == nil) != (found.Guard == nil) {
		return false
	}
	if expected.Guard != nil {
		if m.toSubject(expected.Guard.After) != found.Guard.After || !reflect.DeepEqual(expected.Guard.Query, found.Guard.Query) {
			return false
		}
		expected.Guard, found.Guard = nil, nil
	}
	expected.Position = m.toSubject(expected.Position)
	return expected == found
}
