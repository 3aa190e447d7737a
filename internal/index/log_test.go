package index_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// shape describes the events of a random log.
type shape struct {
	streams, types, tags int
	gaps                 bool // some positions have no event
	unknown              bool // some events cannot be read
}

func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func (s shape) stream(i int) eventstore.StreamID {
	return eventstore.StreamID(fmt.Sprintf("c%d-%d", i%3, i))
}

func (s shape) someTag(random *rand.Rand) eventstore.Tag {
	switch random.IntN(4) {
	case 0:
		return "dense"
	case 1:
		return "rare"
	}
	return eventstore.Tag(fmt.Sprint("n:", random.IntN(s.tags)))
}

// log returns n random events. Some are in no stream, some have a key, every second
// has the tag "dense", and few have the tag "rare".
func (s shape) log(random *rand.Rand, n int) []index.Entry {
	log := make([]index.Entry, n)
	versions := map[eventstore.StreamID]eventstore.Version{}
	var p eventstore.Position
	for i := range log {
		if p++; s.gaps && random.IntN(50) == 0 {
			p += eventstore.Position(random.IntN(5))
		}
		if s.unknown && random.IntN(100) == 0 {
			log[i] = index.Entry{Position: p, Unknown: true}
			continue
		}
		e := index.Entry{Position: p, Type: fmt.Sprint("t-", random.IntN(s.types))}
		if random.IntN(8) > 0 {
			e.Stream = s.stream(random.IntN(s.streams))
			versions[e.Stream]++
			e.Version = versions[e.Stream]
		}
		if random.IntN(2) == 0 {
			e.Tags = append(e.Tags, "dense")
		}
		if random.IntN(2) == 0 {
			e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint("n:", random.IntN(s.tags))))
		}
		if random.IntN(300) == 0 {
			e.Tags = append(e.Tags, "rare")
		}
		if random.IntN(3) == 0 {
			e.Key = fmt.Sprint("k-", i)
		}
		log[i] = e
	}
	return log
}

func (s shape) query(random *rand.Rand) eventstore.Query {
	items := make([]eventstore.Item, 1+random.IntN(3))
	for i := range items {
		it := &items[i]
		for range random.IntN(3) {
			it.Tags = append(it.Tags, s.someTag(random))
		}
		for range random.IntN(3) {
			it.Types = append(it.Types, fmt.Sprint("t-", random.IntN(s.types+1)))
		}
		switch random.IntN(4) {
		case 0:
			it.Streams = []eventstore.StreamID{s.stream(random.IntN(s.streams)), s.stream(random.IntN(s.streams))}
		case 1:
			it.Categories = []string{fmt.Sprint("c", random.IntN(4))}
		}
		if len(it.Tags)+len(it.Types)+len(it.Streams)+len(it.Categories) == 0 {
			it.Types = []string{"t-0"}
		}
	}
	return eventstore.Match(items...)
}

// question is a question to a reader, and the answer by the log.
type question struct {
	text string
	ask  func(*index.Reader) []eventstore.Position
	want []eventstore.Position
}

// tells asks the question and reports whether the reader answered. If not, its error
// must be may.
func (q *question) tells(t testing.TB, r *index.Reader, may error) bool {
	got := q.ask(r)
	if err := r.Err(); err != nil {
		if may == nil {
			require.NoError(t, err, q.text)
		}
		require.ErrorIs(t, err, may, q.text)
		return false
	}
	if !slices.Equal(got, q.want) {
		require.Equal(t, q.want, got, q.text)
	}
	return true
}

// knownLog is the part of a log that a reader sees.
type knownLog struct {
	events []index.Entry
	last   eventstore.Position
}

func upTo(log []index.Entry, last eventstore.Position) knownLog {
	n := sort.Search(len(log), func(i int) bool { return log[i].Position > last })
	return knownLog{log[:n], last}
}

func (l knownLog) head(stream eventstore.StreamID) question {
	want := []eventstore.Position{0, 0}
	for _, e := range l.events {
		if e.Stream == stream {
			want = []eventstore.Position{e.Position, eventstore.Position(e.Version)}
		}
	}
	return question{fmt.Sprintf("the head of %s, up to %d", stream, l.last), func(r *index.Reader) []eventstore.Position {
		p, v := r.Head(stream)
		return []eventstore.Position{p, eventstore.Position(v)}
	}, want}
}

func (l knownLog) at(stream eventstore.StreamID, v eventstore.Version) question {
	want := []eventstore.Position{0}
	for _, e := range l.events {
		if e.Stream == stream && e.Version == v {
			want[0] = e.Position
		}
	}
	return question{fmt.Sprintf("version %d of %s, up to %d", v, stream, l.last), func(r *index.Reader) []eventstore.Position {
		return []eventstore.Position{r.At(stream, v)}
	}, want}
}

func (l knownLog) key(key string) question {
	want := []eventstore.Position{0}
	for _, e := range l.events {
		if e.Key == key && want[0] == 0 {
			want[0] = e.Position
		}
	}
	return question{fmt.Sprintf("the key %s, up to %d", key, l.last), func(r *index.Reader) []eventstore.Position {
		return []eventstore.Position{r.Key(key)}
	}, want}
}

func (l knownLog) walk(q eventstore.Query, from, to eventstore.Position, backward bool) question {
	var want []eventstore.Position
	for _, e := range l.events {
		if e.Position >= from && e.Position <= to && comesBy(q, e) {
			want = append(want, e.Position)
		}
	}
	if backward {
		slices.Reverse(want)
	}
	text := fmt.Sprintf("%v from %d to %d, backward %v, up to %d", q, from, to, backward, l.last)
	return question{text, func(r *index.Reader) []eventstore.Position { return l.matches(r, q, from, to, backward) }, want}
}

// matches walks over all matches in a closed window, and checks those of an inexact
// walk against the log.
func (l knownLog) matches(r *index.Reader, q eventstore.Query, from, to eventstore.Position, backward bool) []eventstore.Position {
	found, exact := walkAll(r, q, from, to, backward)
	if exact {
		return found
	}
	return slices.DeleteFunc(found, func(p eventstore.Position) bool {
		i, known := slices.BinarySearchFunc(l.events, p, func(e index.Entry, p eventstore.Position) int { return int(e.Position) - int(p) })
		return known && !comesBy(q, l.events[i])
	})
}

// comesBy reports whether a walk must return the event: it matches, or it could not
// be read and the query is not of streams only.
func comesBy(q eventstore.Query, e index.Entry) bool {
	if e.Unknown {
		return slices.ContainsFunc(q.Items(), func(it eventstore.Item) bool { return len(it.Streams) == 0 })
	}
	return q.Matches(e.Stream, e.Type, e.Tags)
}

// walkAll returns the positions of a walk over a closed window. A walk that makes no
// progress ends with a 0.
func walkAll(r *index.Reader, q eventstore.Query, from, to eventstore.Position, backward bool) (found []eventstore.Position, exact bool) {
	walk := r.Walk(q, from, to, backward)
	p, step := from, eventstore.Position(1)
	if backward {
		p, step = to, ^eventstore.Position(0)
	}
	for p >= from && p <= to && p > 0 {
		at, matched := walk.Seek(p)
		if at == 0 || at < from && backward || at > to && !backward {
			break
		}
		if backward && at > p || !backward && at < p {
			return append(found, 0), true
		}
		if p = at; matched {
			found = append(found, at)
			p += step
		}
	}
	return found, walk.Exact()
}

// random returns a random question about the log.
func (l knownLog) random(random *rand.Rand, s shape) question {
	stream := s.stream(random.IntN(s.streams + 1))
	switch random.IntN(6) {
	case 0:
		return l.head(stream)
	case 1:
		return l.at(stream, eventstore.Version(1+random.IntN(8)))
	case 2:
		return l.key(fmt.Sprint("k-", random.IntN(len(l.events)+9)))
	}
	from, to := eventstore.Position(1), l.last
	if random.IntN(2) == 0 {
		from += eventstore.Position(random.IntN(int(l.last) + 3))
		to = from + eventstore.Position(random.IntN(200))
	}
	return l.walk(s.query(random), from, to, random.IntN(2) == 0)
}

// all returns questions that need every posting of the index.
func (l knownLog) all() (questions []question) {
	asked := map[any]bool{}
	walk := func(it eventstore.Item) {
		q := eventstore.Match(it)
		if asked[q.String()] {
			return
		}
		asked[q.String()] = true
		questions = append(questions, l.walk(q, 1, l.last, len(asked)%2 == 0))
	}
	for _, e := range l.events {
		if e.Unknown {
			continue // every walk returns it
		}
		walk(eventstore.Item{Types: []string{e.Type}})
		for _, tag := range e.Tags {
			walk(eventstore.Item{Tags: []eventstore.Tag{tag}})
		}
		if e.Key != "" {
			questions = append(questions, l.key(e.Key))
		}
		if e.Stream != "" && !asked[e.Stream] {
			asked[e.Stream] = true
			walk(eventstore.Item{Streams: []eventstore.StreamID{e.Stream}})
			walk(eventstore.Item{Categories: []string{e.Stream.Category()}})
			questions = append(questions, l.head(e.Stream), l.at(e.Stream, 1))
		}
	}
	return questions
}
