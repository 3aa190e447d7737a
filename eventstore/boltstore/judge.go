package boltstore

import (
	"fmt"
	"slices"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// A commit is judged in two parts, so that the writer never waits for a page.
//
// The appending goroutine judges it against the durable log up to the head that
// it sees ([durable]), on disk where need be. What it finds there is final:
// versions only grow, keys stay, events that match a guard stay. If nothing is
// found, the writer judges the same commit, by the same function, against the
// groups of commits that came after that head, the one being formed included
// ([recent]); these are in memory. The groups form a linked list, and a request
// holds on to the group it was judged up to, so all later ones can be reached
// from it however long it took.
//
// Both parts together are all events before the commit, and nothing else (I5).

// past is what a commit is judged against.
type past interface {
	// byKey returns the receipt of the commit with that key, if there is one.
	byKey(key string) (eventstore.Receipt, bool, error)
	// version returns the version of the stream of the commit's i-th expectation.
	version(i int) (eventstore.Version, error)
	// event returns the event that has version v in that stream.
	event(i int, v eventstore.Version) (sighting, error)
	// firstMatch returns the first event after a position that matches, or the
	// zero sighting.
	firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error)
	// commit returns the ids and the receipt of the commit that wrote the event.
	commit(s sighting) ([]uuid.UUID, eventstore.Receipt, error)
}

// sighting is an event in which a condition failed.
type sighting struct {
	position  eventstore.Position // 0: there is none
	eventType string
	id        uuid.UUID
}

// judge returns the receipt of the commit that c repeats, marked so, or the
// conflict with which c ends, or neither if all of its conditions hold.
func judge(c *eventstore.Commit, p past) (eventstore.Receipt, bool, error) {
	if c.Key != "" {
		receipt, found, err := p.byKey(c.Key)
		if err != nil || found {
			receipt.Repeated = found
			return receipt, found, err
		}
	}
	var first *eventstore.ConflictError
	failed := func(conflict *eventstore.ConflictError, s sighting) (eventstore.Receipt, bool, error) {
		conflict.Position, conflict.Type = s.position, s.eventType
		if first == nil {
			first = conflict
		}
		if c.Key != "" {
			return eventstore.Receipt{}, false, nil
		}
		return repeats(c, p, s)
	}
	for i := range c.Expect {
		conflict, s, err := checkExpectation(&c.Expect[i], i, p)
		if err != nil {
			return eventstore.Receipt{}, false, err
		}
		if conflict != nil {
			if receipt, repeated, err := failed(conflict, s); err != nil || repeated {
				return receipt, repeated, err
			}
		}
	}
	for i, g := range c.Guards {
		s, err := p.firstMatch(g.Query, g.After)
		if err != nil {
			return eventstore.Receipt{}, false, err
		}
		if s.position > 0 {
			conflict := &eventstore.ConflictError{Guard: &g, GuardIndex: i}
			if receipt, repeated, err := failed(conflict, s); err != nil || repeated {
				return receipt, repeated, err
			}
		}
	}
	if first != nil {
		return eventstore.Receipt{}, false, first
	}
	return eventstore.Receipt{}, false, nil
}

// checkExpectation returns the conflict in which the expectation ends, and the
// first event that breaks it, if it does not hold.
func checkExpectation(x *eventstore.Expect, i int, p past) (*eventstore.ConflictError, sighting, error) {
	actual, err := p.version(i)
	if err != nil || x.At.Holds(actual) {
		return nil, sighting{}, err
	}
	var s sighting
	if v := x.At.FirstConflict(actual); v > 0 {
		if s, err = p.event(i, v); err != nil {
			return nil, sighting{}, err
		}
	}
	return &eventstore.ConflictError{Stream: x.Stream, Expected: x.At, Actual: actual}, s, nil
}

// repeats returns the receipt of the commit that wrote the event in which a
// condition of c failed, if that commit was c: the same ids in the same order.
func repeats(c *eventstore.Commit, p past, s sighting) (eventstore.Receipt, bool, error) {
	ofCommit := func(e eventstore.NewEvent) bool { return e.ID == s.id }
	if s.position == 0 || !slices.ContainsFunc(c.Events, ofCommit) {
		return eventstore.Receipt{}, false, nil
	}
	ids, receipt, err := p.commit(s)
	same := slices.EqualFunc(ids, c.Events, func(id uuid.UUID, e eventstore.NewEvent) bool { return id == e.ID })
	if err != nil || !same {
		return eventstore.Receipt{}, false, err
	}
	receipt.Repeated = true
	return receipt, true, nil
}

// durable is the past on disk, up to a head.
type durable struct {
	store    *Store
	head     eventstore.Position
	expect   []eventstore.Expect
	versions []eventstore.Version // of each expectation's stream, filled in as they are looked up
}

func (d *durable) byKey(key string) (eventstore.Receipt, bool, error) {
	var first eventstore.Position
	indexed, err := d.store.ask(d.head, func(reader *index.Reader) { first = reader.Key(key) })
	if err == nil && indexed && first == 0 {
		err = d.store.mustKnowAll(0, d.head, "have the key", key)
	}
	if err == nil && !indexed {
		all := newScan(d.store, eventstore.All(), window{from: 1, to: d.head})
		first, _, err = all.first(func(r *record.Record) bool { return r.Key == key })
	}
	if err != nil || first == 0 {
		return eventstore.Receipt{}, false, err
	}
	_, receipt, err := d.commit(sighting{position: first})
	return receipt, err == nil, err
}

func (d *durable) version(i int) (v eventstore.Version, err error) {
	v, err = d.store.version(d.expect[i].Stream, d.head)
	d.versions[i] = v
	return v, err
}

// version returns the version of a stream as of a head.
func (s *Store) version(stream eventstore.StreamID, head eventstore.Position) (v eventstore.Version, err error) {
	if !s.indexDown.Load() {
		if _, v, known := s.index.Load().View().Head(stream, head); known {
			return v, nil
		}
	}
	var last eventstore.Position
	indexed, err := s.ask(head, func(reader *index.Reader) { last, v = reader.Head(stream) })
	if err == nil && indexed {
		err = s.mustKnowAll(last, head, "be of stream", string(stream))
	}
	if err == nil && !indexed {
		backward := newScan(s, eventstore.Stream(stream), window{from: 1, to: head, backward: true})
		_, last, scanErr := backward.first(func(*record.Record) bool { return true })
		v, err = last.Event.Version, scanErr
	}
	return v, err
}

// mustKnowAll returns an error if there is a damaged record after a position of
// which nothing is known: it may have what was not found there. One that is missing
// altogether does not count, for Salvage leaves such holes.
func (s *Store) mustKnowAll(p, head eventstore.Position, what, name string) error {
	for {
		var unknown eventstore.Position
		indexed, err := s.ask(head, func(reader *index.Reader) { unknown = reader.Unknown(p) })
		if err != nil || !indexed || unknown == 0 {
			return err
		}
		err = s.view(func(tx *bolt.Tx) error {
			if there, err := logfile.NewReader(tx.Bucket(logfile.LogBucket)).Seek(unknown); err == nil && !there {
				return nil
			}
			return &eventstore.CorruptError{Position: unknown, Reason: fmt.Sprintf("it cannot be read, and may %s %q", what, name)}
		})
		if err != nil {
			return err
		}
		p = unknown
	}
}

func (d *durable) event(i int, v eventstore.Version) (sighting, error) {
	stream := d.expect[i].Stream
	var at eventstore.Position
	indexed, err := d.store.ask(d.head, func(reader *index.Reader) { at = reader.At(stream, v) })
	if err != nil {
		return sighting{}, err
	}
	if !indexed {
		events := newScan(d.store, eventstore.Stream(stream), window{from: 1, to: d.head})
		_, r, err := events.first(func(r *record.Record) bool { return r.Event.Version == v })
		return sightingOf(&r.Event), err
	}
	var s sighting
	err = d.store.view(func(tx *bolt.Tx) error {
		r, err := logfile.GetRecord(tx.Bucket(logfile.LogBucket), at)
		s = sightingOf(&r.Event)
		return err
	})
	return s, err
}

func (d *durable) firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error) {
	if after >= d.head {
		return sighting{}, nil
	}
	var room [memoQuery]byte
	var query []byte // nil: not remembered
	from := after
	if d.head-after > memoFar && !q.IsAll() {
		if query = appendQuery(room[:0], q); len(query) > memoQuery {
			query = nil
		} else {
			from = d.store.guards.since(query, after)
		}
	}
	for scan := newScan(d.store, q, window{from: from + 1, to: d.head}); !scan.done; {
		if err := scan.page(1); err != nil {
			return sighting{}, err
		}
		if len(scan.found) > 0 {
			return sightingOf(&scan.found[0].Event), nil
		}
	}
	if query != nil {
		d.store.guards.note(query, after, d.head)
	}
	return sighting{}, nil
}

func sightingOf(e *eventstore.Event) sighting {
	return sighting{position: e.Position, eventType: e.Type, id: e.ID}
}

func (d *durable) commit(s sighting) ([]uuid.UUID, eventstore.Receipt, error) {
	var first, last eventstore.Position
	var n int
	err := d.store.view(func(tx *bolt.Tx) error {
		r, err := logfile.GetRecord(tx.Bucket(logfile.LogBucket), s.position)
		n = r.Place.N
		first = s.position - eventstore.Position(r.Place.I)
		last = first + eventstore.Position(n) - 1
		return err
	})
	if err != nil {
		return nil, eventstore.Receipt{}, err
	}
	var ids []uuid.UUID
	b := receiptBuilder{}
	for scan := newScan(d.store, eventstore.All(), window{from: first, to: last}); !scan.done; {
		if err := scan.page(logfile.PageEvents); err != nil {
			return nil, eventstore.Receipt{}, err
		}
		for i := range scan.found {
			e := &scan.found[i].Event
			if scan.found[i].Place != (record.Place{I: len(ids), N: n}) {
				return nil, eventstore.Receipt{}, &eventstore.CorruptError{Position: e.Position, Reason: "it is of another commit than the event before it"}
			}
			ids = append(ids, e.ID)
			b.add(e.Stream, e.Version)
			b.receipt.Recorded = e.Recorded
		}
	}
	if len(ids) < n {
		return nil, eventstore.Receipt{}, logfile.Missing(last)
	}
	b.receipt.First, b.receipt.Last = first, last
	return ids, b.receipt, nil
}

// receiptBuilder collects a receipt's heads from its events in their order.
type receiptBuilder struct {
	receipt eventstore.Receipt
	heads   map[eventstore.StreamID]int // index in receipt.Heads, made when there is more than one
}

func (b *receiptBuilder) add(stream eventstore.StreamID, v eventstore.Version) {
	heads := b.receipt.Heads
	if stream == "" {
		return
	}
	if len(heads) > 0 && heads[len(heads)-1].Stream == stream {
		heads[len(heads)-1].Version = v
		return
	}
	if len(heads) == 0 {
		b.receipt.Heads = []eventstore.StreamHead{{Stream: stream, Version: v}}
		return
	}
	if b.heads == nil {
		b.heads = map[eventstore.StreamID]int{heads[0].Stream: 0}
	}
	if i, ok := b.heads[stream]; ok {
		heads[i].Version = v
		return
	}
	b.heads[stream] = len(heads)
	b.receipt.Heads = append(heads, eventstore.StreamHead{Stream: stream, Version: v})
}
