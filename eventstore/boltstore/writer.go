package boltstore

import (
	"fmt"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
)

// One goroutine writes. Each turn it takes all requests that are waiting as one
// group: it judges them in order, each against all before it; puts the events
// of those that stand into one transaction; and when that is on disk, publishes
// the group to readers and tells all callers their outcome, the refused ones
// too, for what refused them is true only if the group is. A lone request is a
// group of its own and waits for nobody.
//
// If the transaction fails, the whole group fails with its error, and the
// writer goes on with the log as it was. That is safe as long as the failed
// transaction cannot have become the newest one in the file; if it can, whether
// it survives is the operating system's to decide, and the store stops taking
// appends until it is opened again and has looked.

const (
	queueLength = 1024 // requests that may wait; more wait to be let in
	groupEvents = 8192 // a group is closed when it has so many events,
	groupBytes  = 8 << 20
)

// runWriter is the writer's goroutine. It ends when the store is closing.
func (s *Store) runWriter() {
	defer close(s.stopped)
	debug.SetPanicOnFault(true)
	for {
		select {
		case r := <-s.queue:
			s.writeGroup(s.collect(r))
		case <-s.closing:
			return
		}
	}
}

// collect takes the first request and those that wait behind it, as far as a
// group goes.
func (s *Store) collect(first *request) []*request {
	var requests []*request
	events, bytes := 0, 0
	for r := first; ; {
		if r.take() {
			requests = append(requests, r)
			events += len(r.entries)
			bytes += r.bytes
		}
		if events >= groupEvents || bytes >= groupBytes {
			return requests
		}
		select {
		case r = <-s.queue:
		default:
			return requests
		}
	}
}

// take makes the request the writer's, unless its caller has given it up.
func (r *request) take() bool {
	if r.ctx.Err() != nil || !r.state.CompareAndSwap(waiting, taken) {
		return false
	}
	return true
}

// writeGroup gives each request its outcome.
func (s *Store) writeGroup(requests []*request) {
	last := s.tail.last()
	g := newGroup(last.through, last.recorded)
	for _, r := range requests {
		g.judgeAndAdd(r)
	}
	var err error
	if len(g.entries) > 0 {
		err = s.commit(g)
	}
	if err == nil && len(g.entries) > 0 {
		s.tail.publish(g)
	}
	for _, r := range requests {
		if err != nil {
			r.receipt, r.err = eventstore.Receipt{}, err
		}
		close(r.done)
	}
}

// judgeAndAdd gives the request the outcome it has if the group becomes durable.
func (g *group) judgeAndAdd(r *request) {
	past := &recent{request: r, groups: since(r.base, g)}
	var repeated bool
	if r.receipt, repeated, r.err = judge(r.commit, past); repeated || r.err != nil {
		return
	}
	versions := slices.Clone(r.versions)
	for i := range versions {
		versions[i], _ = past.version(i)
	}
	r.receipt = g.add(r, versions)
}

// commit makes the group durable. On an error nothing of it is in the log,
// apart from ErrUnknownOutcome.
func (s *Store) commit(g *group) (err error) {
	if s.failed.Load() {
		return eventstore.ErrFailed
	}
	var tx *bolt.Tx
	defer func() {
		if r := recover(); r != nil {
			err = s.fail(tx, fmt.Errorf("panic: %v", r))
		}
	}()
	tx, err = s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := g.put(tx); err != nil {
		_ = tx.Rollback() // the only error is that it has ended already
		return fmt.Errorf("append: %w", err)
	}
	id := tx.ID()
	if err := s.commitTx(tx); err != nil {
		if s.mayBeNewest(id) {
			return s.fail(nil, err)
		}
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// put writes the group's records and their index entries.
func (g *group) put(tx *bolt.Tx) error {
	log := tx.Bucket(logBucket)
	log.FillPercent = 1 // keys come in order: pages are never split to be filled later
	entries := make([]index.Entry, len(g.entries))
	for i := range g.entries {
		e := &g.entries[i]
		key := record.Key(g.position(i))
		if err := log.Put(key[:], e.record); err != nil {
			return err
		}
		entries[i] = index.Entry{Position: g.position(i), Stream: e.stream, Version: e.version, Type: e.kind, Tags: e.tags}
	}
	for key, i := range g.keys {
		entries[g.commits[i].start].Key = key
	}
	return index.Add(tx, entries)
}

// mayBeNewest reports whether a transaction whose commit failed may be found by
// the next one that begins: its meta page is in the page cache, and may or may
// not get to the disk.
func (s *Store) mayBeNewest(id int) bool {
	newest := id
	err := s.view(func(tx *bolt.Tx) error {
		newest = tx.ID()
		return nil
	})
	return err != nil || newest >= id
}

// fail stops the store from taking appends, because the outcome of a
// transaction is unknown.
func (s *Store) fail(tx *bolt.Tx, cause error) error {
	s.failed.Store(true)
	if tx != nil {
		defer func() { _ = recover() }() // a transaction that panicked may panic again
		_ = tx.Rollback()
	}
	return fmt.Errorf("append: %w: close and reopen the store, and send the commit again: %w", eventstore.ErrUnknownOutcome, cause)
}
