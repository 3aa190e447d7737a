package boltstore

import (
	"cmp"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/guardmemo"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// past is a part of the log that a commit is judged against.
type past interface {
	// byKey returns the receipt of the commit with the key, and whether there is one.
	byKey(key string) (eventstore.Receipt, bool, error)
	// version returns the version of the stream of the commit's i-th expectation.
	version(i int) (eventstore.Version, error)
	// event returns the event with version v of that stream.
	event(i int, v eventstore.Version) (sighting, error)
	// firstMatch returns the first event after a position that matches the query, or the
	// zero sighting.
	firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error)
	// commit returns the ids of the events and the receipt of the commit that wrote s.
	commit(s sighting) ([]uuid.UUID, eventstore.Receipt, error)
}

// sighting is an event that breaks a condition.
type sighting struct {
	position  eventstore.Position // 0: there is none
	eventType string
	id        uuid.UUID
}

// durable is the log on disk up to a head.
type durable struct {
	in       *reader
	head     eventstore.Position
	expect   []eventstore.Expect
	versions []eventstore.Version // of each expectation's stream; set by version
}

func (d *durable) byKey(key string) (eventstore.Receipt, bool, error) {
	var first, unknown eventstore.Position
	indexed, err := d.in.index.ask(d.head, func(reader *index.Reader) {
		if first = reader.Key(key); first == 0 {
			unknown = reader.Unknown(0)
		}
	})
	if err == nil && indexed && first == 0 {
		err = mayBe(unknown, "of the commit with the key", key)
	}
	if err == nil && !indexed {
		all := d.in.identities(eventstore.All(), window{from: 1, to: d.head})
		first, _, err = all.first(func(r *record.Record) bool { return r.Key == key })
	}
	if err != nil || first == 0 {
		return eventstore.Receipt{}, false, err
	}
	_, receipt, err := d.commit(sighting{position: first})
	return receipt, err == nil, err
}

func (d *durable) version(i int) (v eventstore.Version, err error) {
	v, err = d.in.version(d.expect[i].Stream, d.head)
	d.versions[i] = v
	return v, err
}

func (d *durable) event(i int, v eventstore.Version) (sighting, error) {
	stream := d.expect[i].Stream
	var at eventstore.Position
	indexed, err := d.in.index.ask(d.head, func(reader *index.Reader) { at = reader.At(stream, v) })
	if err != nil {
		return sighting{}, err
	}
	if !indexed {
		events := d.in.identities(eventstore.Stream(stream), window{from: 1, to: d.head})
		_, r, err := events.first(func(r *record.Record) bool { return r.Event.Version == v })
		return sightingOf(&r.Event), err
	}
	var s sighting
	err = d.in.readTx(func(tx *pages.Tx) error {
		r, err := d.in.identity(logfile.NewReader(tx.Bucket(logfile.LogBucket)), at)
		s = sightingOf(&r.Event)
		return err
	})
	return s, err
}

func (d *durable) firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error) {
	if after >= d.head {
		return sighting{}, nil
	}
	var buf [guardmemo.KeyBytes]byte
	from, key := d.in.guards.Since(buf[:0], q, after, d.head)
	for scan := d.in.identities(q, window{from: from + 1, to: d.head}); !scan.done; {
		if err := scan.page(1); err != nil {
			return sighting{}, err
		}
		if len(scan.found) > 0 {
			return sightingOf(&scan.found[0].Event), nil
		}
	}
	d.in.guards.Note(key, after, d.head)
	return sighting{}, nil
}

func sightingOf(e *eventstore.Event) sighting {
	return sighting{position: e.Position, eventType: e.Type, id: e.ID}
}

func (d *durable) commit(s sighting) (ids []uuid.UUID, receipt eventstore.Receipt, err error) {
	b := receiptBuilder{}
	place := record.Place{N: 1} // of the commit's next event
	for first := eventstore.Position(0); place.I < place.N && err == nil; {
		err = d.in.readTx(func(tx *pages.Tx) error {
			records := logfile.NewReader(tx.Bucket(logfile.LogBucket))
			if first == 0 {
				r, err := d.in.identity(records, s.position)
				if err != nil {
					return err
				}
				first, place.N = s.position-eventstore.Position(r.Place.I), r.Place.N
				b.receipt.First, b.receipt.Last = first, first+eventstore.Position(place.N)-1
			}
			for range min(place.N-place.I, logfile.PageEvents) {
				p := first + eventstore.Position(place.I)
				r, err := d.in.identity(records, p)
				if err == nil && r.Place != place {
					err = &eventstore.CorruptError{Position: p, Reason: "it is of another commit than the event before it"}
				}
				if err != nil {
					return err
				}
				ids = append(ids, r.Event.ID)
				b.addRecord(&r)
				place.I++
			}
			return nil
		})
	}
	return ids, b.receipt, err
}

// recent is the log after the part that a request's caller has judged against: the groups
// that have been published since, and more, usually the group that is being formed.
type recent struct {
	expect    []eventstore.Expect
	versions  []eventstore.Version // of each expectation's stream, before these groups
	published *group               // the first published one, or nil
	more      *group
}

// first returns the first group.
func (p *recent) first() *group { return cmp.Or(p.published, p.more) }

// after returns the group that follows another, or nil.
func (p *recent) after(g *group) *group {
	if g == p.more {
		return nil
	}
	return cmp.Or(g.next.Load(), p.more)
}

func (p *recent) byKey(key string) (eventstore.Receipt, bool, error) {
	for g := p.first(); g != nil; g = p.after(g) {
		if i, ok := g.keys[key]; ok {
			return g.receipt(i), true, nil
		}
	}
	return eventstore.Receipt{}, false, nil
}

func (p *recent) version(i int) (eventstore.Version, error) {
	v := p.versions[i]
	for g := p.first(); g != nil; g = p.after(g) {
		if head, ok := g.heads[p.expect[i].Stream]; ok {
			v = head
		}
	}
	return v, nil
}

func (p *recent) event(i int, v eventstore.Version) (sighting, error) {
	stream := p.expect[i].Stream
	for g := p.first(); g != nil; g = p.after(g) {
		for j := range g.entries {
			if e := &g.entries[j]; e.version == v && e.stream == stream {
				return g.sighting(j), nil
			}
		}
	}
	return sighting{}, nil
}

func (p *recent) firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error) {
	for g := p.first(); g != nil; g = p.after(g) {
		if i := g.firstMatch(q, after); i >= 0 {
			return g.sighting(i), nil
		}
	}
	return sighting{}, nil
}

func (p *recent) commit(s sighting) ([]uuid.UUID, eventstore.Receipt, error) {
	g := p.first()
	for s.position > g.through {
		g = p.after(g)
	}
	i := g.commitOf(int(s.position - g.first))
	commit := g.commits[i]
	ids := make([]uuid.UUID, commit.n)
	for j := range ids {
		ids[j] = g.entries[commit.start+j].id
	}
	return ids, g.receipt(i), nil
}

// receiptBuilder collects the heads of a receipt from the events of a commit, in order.
type receiptBuilder struct {
	receipt eventstore.Receipt
	heads   map[eventstore.StreamID]int // to the index in receipt.Heads; nil for one stream
}

// addRecord adds an event of the commit, whose records come in order.
func (b *receiptBuilder) addRecord(r *record.Record) {
	b.add(r.Event.Stream, r.Event.Version)
	b.receipt.Recorded = r.Event.Recorded
	if len(r.Digest) > 0 {
		b.receipt.Digest = r.Digest
	}
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
