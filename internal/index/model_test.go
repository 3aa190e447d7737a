package index_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// small are limits that are reached by about twenty events.
var small = index.Limits{Bytes: 2000, Events: 500}

var shapes = map[string]shape{
	"few streams":  {streams: 5, types: 3, tags: 12},
	"many streams": {streams: 700, types: 40, tags: 300, gaps: true, unknown: true},
}

// TestIndex_AgreesWithTheLog uses an index at random as a store does, and looks
// things up in between.
func TestIndex_AgreesWithTheLog(t *testing.T) {
	t.Parallel()
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := seeded(t)
			m := &model{t: t, random: random, shape: s, file: newFile(t), log: s.log(random, 3000)}
			m.index = m.file.open(t, small)
			m.run()
		})
	}
}

type model struct {
	t         *testing.T
	random    *rand.Rand
	shape     shape
	file      *file
	index     *index.Index
	log       []index.Entry // all that will be added
	added     int
	snapshots []*index.Snapshot // taken since the index was opened
	seen      []int             // added when the snapshot was taken
	told      int               // questions answered without the file
	heads     int               // answered by a snapshot alone
	runs      int               // the most at a time
}

var errInjected = errors.New("injected")

func (m *model) run() {
	m.file.before = func(int) error {
		if m.random.IntN(12) == 0 {
			return errInjected
		}
		return nil
	}
	for m.added < len(m.log) {
		switch step := m.random.IntN(100); {
		case step < 40:
			m.add()
		case step < 60:
			m.index.Freeze(step < 50)
		case step < 70:
			m.maintain()
		case step < 72:
			m.reopen()
		default:
			m.look(6)
		}
		if m.random.IntN(10) == 0 {
			m.take()
		}
	}
	require.Positive(m.t, m.told, "no question was answered without the file")
	if !m.shape.unknown { // otherwise there may always be one more
		require.Positive(m.t, m.heads, "no snapshot knew a head")
	}
	require.Greater(m.t, m.runs, 5, "runs at a time")
	m.file.before = nil
	require.NoError(m.t, m.index.Maintain(m.file))
	requireSwept(m.t, m.file)
	requireWhole(m.t, m.file, m.index, m.log)
	m.reopen()
	m.look(50)
}

// add adds a group, perhaps after another one that is undone.
func (m *model) add() {
	n := min(1+m.random.IntN(40), len(m.log)-m.added)
	if m.random.IntN(4) == 0 {
		other := m.shape.log(m.random, 1+m.random.IntN(600))
		head := m.index.Through()
		for i := range other {
			other[i].Position += head
		}
		add(m.index, other...)
		m.index.Undo(len(other), func(i int) index.Entry { return other[i] })
	}
	add(m.index, m.log[m.added:][:n]...)
	m.added += n
}

func (m *model) maintain() {
	err := m.index.Maintain(m.file)
	if err != nil {
		require.ErrorIs(m.t, err, errInjected)
	}
	m.runs = max(m.runs, m.index.Stats().Runs)
}

// reopen opens the index again and adds the events that it lacks.
func (m *model) reopen() {
	m.index = m.file.open(m.t, small)
	m.snapshots, m.seen = nil, nil
	saved := len(upTo(m.log, m.index.Saved()).events)
	require.LessOrEqual(m.t, saved, m.added)
	add(m.index, m.log[saved:m.added]...)
}

func (m *model) take() {
	m.snapshots, m.seen = append(m.snapshots, m.index.Snapshot()), append(m.seen, m.added)
}

// look asks n questions of a snapshot, with the file and without.
func (m *model) look(n int) {
	m.take()
	i := len(m.snapshots) - 1
	if m.random.IntN(2) == 0 {
		i = m.random.IntN(len(m.snapshots))
	}
	snapshot, last := m.snapshots[i], eventstore.Position(0)
	if seen := m.seen[i]; seen > 0 {
		last = m.log[seen-1].Position
	}
	if m.random.IntN(3) == 0 {
		last = eventstore.Position(m.random.Uint64N(uint64(last) + 1))
	}
	known := upTo(m.log, last)
	m.file.read(m.t, snapshot, last, func(r *index.Reader) {
		for range n {
			q := known.random(m.random, m.shape)
			q.tells(m.t, r, nil)
			without, err := snapshot.Reader(nil, last)
			require.NoError(m.t, err)
			if q.tells(m.t, without, index.ErrNeedsFile) {
				m.told++
			}
			m.head(snapshot, known)
		}
	})
}

// head asks the snapshot itself for a stream's head.
func (m *model) head(snapshot *index.Snapshot, known knownLog) {
	stream := m.shape.stream(m.random.IntN(m.shape.streams + 1))
	if p, v, told := snapshot.Head(stream, known.last); told {
		require.Equal(m.t, known.head(stream).want, []eventstore.Position{p, eventstore.Position(v)}, "%s up to %d", stream, known.last)
		m.heads++
	}
}

// TestIndex_AgreesWhileMaintained looks things up while one goroutine adds and
// another maintains.
func TestIndex_AgreesWhileMaintained(t *testing.T) {
	random := seeded(t)
	s := shapes["few streams"]
	log := s.log(random, 6000)
	f := newFile(t)
	x := f.open(t, small)
	var added atomic.Int64
	written, maintained := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(written)
		addAll(x, log, &added)
	}()
	go func() { maintained <- maintainUntil(x, f, written) }()
	for done := false; !done; {
		n := int(added.Load())
		done = n == len(log)
		if n == 0 {
			continue
		}
		known := upTo(log, log[n-1].Position)
		snapshot := x.Snapshot()
		if random.IntN(2) == 0 { // let the index change in between
			time.Sleep(time.Millisecond)
		}
		f.read(t, snapshot, known.last, func(r *index.Reader) {
			for range 3 {
				q := known.random(random, s)
				q.tells(t, r, nil)
			}
		})
	}
	<-written
	require.NoError(t, <-maintained)
	requireSwept(t, f)
	requireWhole(t, f, x, log)
}

// addAll adds the log in groups, each full one after it was taken back once. It
// counts in added the events that stay.
func addAll(x *index.Index, log []index.Entry, added *atomic.Int64) {
	for rest := log; len(rest) > 0; {
		n := min(30, len(rest))
		add(x, rest[:n]...)
		if n%3 == 0 {
			x.Undo(n, func(i int) index.Entry { return rest[i] })
			add(x, rest[:n]...)
		}
		rest = rest[n:]
		added.Store(int64(len(log) - len(rest)))
		for x.Freeze(false); x.Crowded(); x.Freeze(false) {
			time.Sleep(10 * time.Microsecond)
		}
	}
}

// maintainUntil maintains the index until done is closed, and once more after that.
func maintainUntil(x *index.Index, f *file, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return x.Maintain(f)
		default:
			if err := x.Maintain(f); err != nil {
				return err
			}
			runtime.Gosched()
		}
	}
}
