package workload

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// ID identifies a commit of a script: the N-th of a writer, from 1.
type ID struct{ Writer, N int }

// String returns the id as in marks.
func (id ID) String() string { return fmt.Sprintf("w%d-%d", id.Writer, id.N) }

// ParseID parses the result of String.
func ParseID(s string) (id ID, err error) {
	if _, err := fmt.Sscanf(s, "w%d-%d", &id.Writer, &id.N); err != nil {
		return ID{}, fmt.Errorf("commit id %q: %w", s, err)
	}
	return id, nil
}

// Key returns the key that the commit is appended with.
func (id ID) Key() string { return "key-" + id.String() }

// Tag returns a tag that only the commit's first event has.
func (id ID) Tag() eventstore.Tag { return eventstore.Tag("commit:" + id.String()) }

// eventID returns the id of the commit's i-th event, which names the commit.
func (id ID) eventID(i int, salt uint64) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint32(u[:], uint32(id.N))
	binary.BigEndian.PutUint16(u[4:], uint16(id.Writer))
	binary.BigEndian.PutUint16(u[6:], uint16(i))
	binary.BigEndian.PutUint64(u[8:], salt)
	return u
}

// idOf returns the commit of an event, and its place in it.
func idOf(u uuid.UUID) (ID, int) {
	id := ID{N: int(binary.BigEndian.Uint32(u[:])), Writer: int(binary.BigEndian.Uint16(u[4:]))}
	return id, int(binary.BigEndian.Uint16(u[6:]))
}

// hugeWriter is the writer whose commits make the file grow.
const hugeWriter = 7

// The event types, and what is in an event.
const (
	Added   = "sim.added"
	Removed = "sim.removed"
	Noted   = "sim.noted"
)

type payload struct {
	Commit   string `json:"commit"`
	Item     int    `json:"item"`
	Quantity int    `json:"quantity"`
	Pad      string `json:"pad"`
}

// Script is the commits that its parameters make. Commits of one writer must be
// appended in their order, as they expect versions of a stream. A Script is not safe
// for concurrent use.
type Script struct {
	params  Params
	commits map[ID]*eventstore.Commit
	written map[ID]int // events in the writer's own stream, after the commit
}

// Params are the parameters of a script.
type Params struct {
	Seed  uint64
	Large bool // payloads take several pages
}

// indexMemory returns Options.IndexMemory for the script's store: the index of every
// second script is written all the time, that of the others stays in memory.
func (p Params) indexMemory() int { return int(p.Seed % 2) }

// NewScript returns the script of the parameters.
func NewScript(p Params) *Script {
	return &Script{params: p, commits: make(map[ID]*eventstore.Commit), written: make(map[ID]int)}
}

// Commit returns a commit. It must not be changed.
func (s *Script) Commit(id ID) *eventstore.Commit {
	if c := s.commits[id]; c != nil {
		return c
	}
	for n := 1; n < id.N; n++ {
		if before := (ID{id.Writer, n}); s.commits[before] == nil {
			s.make(before)
		}
	}
	return s.make(id)
}

func (s *Script) make(id ID) *eventstore.Commit {
	r := rand.New(rand.NewPCG(s.params.Seed, uint64(id.Writer)<<32|uint64(id.N)))
	own := eventstore.StreamID(fmt.Sprintf("writer-%d", id.Writer))
	version := s.written[ID{id.Writer, id.N - 1}]
	c := &eventstore.Commit{
		Key:    id.Key(),
		Expect: []eventstore.Expect{{Stream: own, At: eventstore.At(eventstore.Version(version))}},
		Guards: []eventstore.Guard{{Query: eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{id.Tag()}})}},
	}
	if id.N%2 == 0 {
		c.Digest = []byte(id.String())
	}
	expected := map[eventstore.StreamID]bool{own: true}
	n, padding := 1+r.IntN(4)*r.IntN(2), 180
	if r.IntN(16) == 0 && id.Writer != hugeWriter { // large enough that its records are packed
		n, padding = 8+r.IntN(3), 4000
	}
	for i := range n {
		e := s.event(r, id, i, padding)
		switch n := r.IntN(10); {
		case i == 0 || n < 5:
			e.Stream = own
			version++
		case n < 9:
			e.Stream = eventstore.StreamID(fmt.Sprintf("shared-%d", r.IntN(3)))
		}
		if e.Stream != "" && !expected[e.Stream] {
			expected[e.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.Any})
		}
		c.Events = append(c.Events, e)
	}
	s.commits[id], s.written[id] = c, version
	return c
}

func (s *Script) event(r *rand.Rand, id ID, i, padding int) eventstore.NewEvent {
	e := eventstore.NewEvent{
		ID: id.eventID(i, r.Uint64()), Type: []string{Added, Added, Removed, Noted}[r.IntN(4)], SchemaVersion: 1, Codec: "json",
	}
	p := payload{Commit: id.String(), Item: r.IntN(6), Quantity: 1 + r.IntN(9), Pad: pad(r, 20+r.IntN(padding))}
	if s.params.Large && r.IntN(2) == 0 {
		p.Pad = pad(r, 3000+r.IntN(30000))
	}
	if id.Writer == hugeWriter {
		p.Pad = pad(r, 6<<20/(i+1))
	}
	var err error
	if e.Data, err = json.Marshal(p); err != nil {
		panic(err) // numbers and text can be encoded
	}
	e.Tags = []eventstore.Tag{eventstore.Tag(fmt.Sprintf("item:%d", p.Item))}
	if i == 0 {
		e.Tags = append(e.Tags, id.Tag())
	}
	if r.IntN(3) == 0 {
		e.Metadata = eventstore.Metadata{"actor": fmt.Sprint("a", r.IntN(4)), "trace": pad(r, 16)}
	}
	if r.IntN(4) == 0 {
		e.Time = time.Unix(r.Int64N(1<<31), r.Int64N(1e9)).UTC()
	}
	return e
}

func pad(r *rand.Rand, n int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}
