package linear

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// The kinds of calls.
const (
	appendCall = "append"
	readCall   = "read"
	headCall   = "head"
	lookupCall = "lookup"
	followCall = "follow"
)

// call is a call of the store by a client, in a form that can be sent to a child and
// kept.
type call struct {
	Kind     string  `json:"kind"`
	Commit   *commit `json:"commit,omitempty"`
	Query    query   `json:"query,omitempty"`
	From     uint64  `json:"from,omitempty"` // of a read; of a follow: the position to follow after
	To       uint64  `json:"to,omitempty"`
	Limit    int     `json:"limit,omitempty"`
	Backward bool    `json:"backward,omitempty"`
	Key      string  `json:"key,omitempty"` // of a lookup
}

// commit is an [eventstore.Commit].
type commit struct {
	Key    string   `json:"key,omitempty"`
	Events []event  `json:"events"`
	Expect []expect `json:"expect,omitempty"`
	Guards []guard  `json:"guards,omitempty"`
}

type event struct {
	ID     uint32   `json:"id"`
	Stream string   `json:"stream,omitempty"`
	Type   string   `json:"type"`
	Tags   []string `json:"tags,omitempty"`
}

type expect struct {
	Stream string                 `json:"stream"`
	At     eventstore.Expectation `json:"at"`
}

type guard struct {
	Query query  `json:"query"`
	After uint64 `json:"after"`
}

// query is a list of alternatives; an empty list is All.
type query []item

// item matches events that have all of its fields that are not empty.
type item struct {
	Stream   string `json:"stream,omitempty"`
	Category string `json:"category,omitempty"`
	Type     string `json:"type,omitempty"`
	Tag      string `json:"tag,omitempty"`
}

// answer is the result of a call. Fields that do not apply are zero.
type answer struct {
	Unknown  bool      `json:"unknown,omitempty"` // no answer: the process was killed, or the store could not know
	Refused  string    `json:"refused,omitempty"` // the error of a commit that had no effect, as on a failing disk
	Error    string    `json:"error,omitempty"`   // an error that no call may return
	Conflict *conflict `json:"conflict,omitempty"`
	Receipt  receipt   `json:"receipt,omitzero"`
	Found    bool      `json:"found,omitempty"`
	Head     uint64    `json:"head,omitempty"` // also the end of a follow
	Seen     []seen    `json:"seen,omitempty"`
}

// conflict is the condition that failed: the guard with an index, or, if that is -1,
// the expectation on the stream.
type conflict struct {
	Guard    int    `json:"guard"`
	Stream   string `json:"stream,omitempty"`
	Actual   uint64 `json:"actual,omitempty"`
	Position uint64 `json:"position,omitempty"`
}

type receipt struct {
	First    uint64       `json:"first,omitempty"`
	Last     uint64       `json:"last,omitempty"`
	Repeated bool         `json:"repeated,omitempty"`
	Heads    []streamHead `json:"heads,omitempty"`
}

type streamHead struct {
	Stream  string `json:"stream"`
	Version uint64 `json:"version"`
}

// seen is an event that a call yielded.
type seen struct {
	Position uint64 `json:"position"`
	Version  uint64 `json:"version,omitempty"`
	ID       uint32 `json:"id"`
}

// do makes the call.
func (c *call) do(ctx context.Context, s eventstore.Store) answer {
	switch c.Kind {
	case appendCall:
		receipt, err := s.Append(ctx, c.Commit.toStore())
		return appended(receipt, err)
	case readCall:
		return c.read(ctx, s)
	case headCall:
		head, err := s.Head(ctx)
		return failedOr(answer{Head: uint64(head)}, err)
	case lookupCall:
		receipt, found, err := s.Lookup(ctx, c.Key)
		return failedOr(answer{Receipt: toReceipt(receipt), Found: found}, err)
	case followCall:
		return c.follow(ctx, s)
	default:
		return answer{Error: fmt.Sprintf("no call %q", c.Kind)}
	}
}

func (c *call) read(ctx context.Context, s eventstore.Store) answer {
	var a answer
	options := eventstore.ReadOptions{
		From: eventstore.Position(c.From), To: eventstore.Position(c.To), Limit: c.Limit, Backward: c.Backward,
	}
	for e, err := range s.Read(ctx, c.Query.toStore(), options) {
		if err != nil {
			return failedOr(a, err)
		}
		if err := a.see(e); err != nil {
			return failedOr(a, err)
		}
	}
	return a
}

// follow follows up to the head. Its answer is that of a read at the moment at which
// the last batch was made, the one that reaches the head.
func (c *call) follow(ctx context.Context, s eventstore.Store) answer {
	var a answer
	for batch, err := range s.Follow(ctx, c.Query.toStore(), eventstore.Position(c.From)) {
		if err != nil {
			return failedOr(a, err)
		}
		for _, e := range batch.Events {
			if err := a.see(e); err != nil {
				return failedOr(a, err)
			}
		}
		if a.Head = uint64(batch.Through); batch.Live {
			break
		}
	}
	return a
}

// see notes an event. Its payload must be that of its id.
func (a *answer) see(e eventstore.Event) error {
	id := binary.BigEndian.Uint32(e.ID[12:])
	if string(e.Data) != string(payload(id)) {
		return fmt.Errorf("the event at position %d with id %d has the payload %x", e.Position, id, e.Data)
	}
	a.Seen = append(a.Seen, seen{Position: uint64(e.Position), Version: uint64(e.Version), ID: id})
	return nil
}

// failedOr returns a, or an answer with the error.
func failedOr(a answer, err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return a
}

func appended(r eventstore.Receipt, err error) answer {
	var c *eventstore.ConflictError
	switch {
	case errors.Is(err, eventstore.ErrUnknownOutcome):
		return answer{Unknown: true}
	case errors.As(err, &c) && c.Guard != nil:
		return answer{Conflict: &conflict{Guard: c.GuardIndex, Position: uint64(c.Position)}}
	case errors.As(err, &c):
		return answer{Conflict: &conflict{
			Guard: -1, Stream: string(c.Stream), Actual: uint64(c.Actual), Position: uint64(c.Position),
		}}
	case err != nil:
		return answer{Refused: err.Error()}
	}
	return answer{Receipt: toReceipt(r)}
}

func toReceipt(r eventstore.Receipt) receipt {
	out := receipt{First: uint64(r.First), Last: uint64(r.Last), Repeated: r.Repeated}
	for _, h := range r.Heads {
		out.Heads = append(out.Heads, streamHead{string(h.Stream), uint64(h.Version)})
	}
	return out
}

// payload returns the payload of the event with an id. It is so large that some
// events of one group are packed.
func payload(id uint32) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "event %08x %08x ", id, ^id), 130)
}

func (c *commit) toStore() eventstore.Commit {
	out := eventstore.Commit{Key: c.Key}
	for _, e := range c.Events {
		var id uuid.UUID
		id[0] = 1 // not the zero UUID, which asks for a new one
		binary.BigEndian.PutUint32(id[12:], e.ID)
		n := eventstore.NewEvent{Stream: eventstore.StreamID(e.Stream), ID: id, Type: e.Type, Data: payload(e.ID)}
		for _, tag := range e.Tags {
			n.Tags = append(n.Tags, eventstore.Tag(tag))
		}
		out.Events = append(out.Events, n)
	}
	for _, x := range c.Expect {
		out.Expect = append(out.Expect, eventstore.Expect{Stream: eventstore.StreamID(x.Stream), At: x.At})
	}
	for _, g := range c.Guards {
		out.Guards = append(out.Guards, eventstore.Guard{Query: g.Query.toStore(), After: eventstore.Position(g.After)})
	}
	return out
}

func (q query) toStore() eventstore.Query {
	if len(q) == 0 {
		return eventstore.All()
	}
	items := make([]eventstore.Item, len(q))
	for i, it := range q {
		if it.Stream != "" {
			items[i].Streams = []eventstore.StreamID{eventstore.StreamID(it.Stream)}
		}
		if it.Category != "" {
			items[i].Categories = []string{it.Category}
		}
		if it.Type != "" {
			items[i].Types = []string{it.Type}
		}
		if it.Tag != "" {
			items[i].Tags = []eventstore.Tag{eventstore.Tag(it.Tag)}
		}
	}
	return eventstore.Match(items...)
}
