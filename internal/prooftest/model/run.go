package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// pair is the store under test and the oracle.
type pair struct {
	ctx    context.Context
	path   string
	opened int // times
	bolt   *boltstore.Store
	memory *memstore.Store

	// The step's clock and ids, for both stores.
	now     time.Time
	ids     uint64
	idsBolt uint64
	idsMem  uint64

	followers map[int]*follower
	accepted  []accepted
	backups   backedUp
	files     int // made by imports

	// The store's Info, as long as the file is not replaced.
	id    uuid.UUID
	epoch uint64
}

var zeroID uuid.UUID

func newPair(ctx context.Context, path string) (*pair, error) {
	p := &pair{ctx: ctx, path: path, followers: make(map[int]*follower), now: time.Unix(0, 0)}
	p.memory = memstore.New(p.memoryOptions())
	if err := p.open(); err != nil {
		return nil, err
	}
	p.id, p.epoch = p.bolt.Info().StoreID, 1
	return p, nil
}

func (p *pair) memoryOptions() *memstore.Options {
	return &memstore.Options{
		Clock: func() time.Time { return p.now },
		NewID: func() (uuid.UUID, error) { return p.newID(&p.idsMem), nil },
	}
}

// open opens the store. Every second time the store writes its index all the time.
func (p *pair) open() (err error) {
	p.opened++
	p.bolt, err = boltstore.Open(p.path, &boltstore.Options{
		IndexMemory: p.opened % 2,
		Clock:       func() time.Time { return p.now },
		NewID:       func() (uuid.UUID, error) { return p.newID(&p.idsBolt), nil },
	})
	return err
}

// newID returns the next id of the step, for one of the stores.
func (p *pair) newID(count *uint64) (id uuid.UUID) {
	*count++
	binary.BigEndian.PutUint64(id[:], p.ids|1<<63)
	binary.BigEndian.PutUint64(id[8:], *count)
	return id
}

// close closes both stores. Followers end, each with ErrClosed.
func (p *pair) close() error {
	if p.bolt == nil { // it could not be opened again
		return p.memory.Close()
	}
	if err := errors.Join(p.bolt.Close(), p.memory.Close()); err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(p.followers)) {
		if err := p.followers[number].end(); err != nil {
			return fmt.Errorf("follower %d after Close: %w", number, err)
		}
	}
	clear(p.followers)
	return nil
}

// reopen opens both stores after close.
func (p *pair) reopen() (err error) {
	if p.memory, err = p.memory.Reopen(); err != nil {
		return fmt.Errorf("the oracle: %w", err)
	}
	return p.open()
}

// do does a step to both stores. It returns an error if they differ.
func (p *pair) do(s step) error {
	p.now, p.ids, p.idsBolt, p.idsMem = s.Recorded, s.IDs, 0, 0
	switch s.Do {
	case doAppend:
		return p.append(s.Commit.toStore())
	case doLookup:
		return p.lookup(s.Key)
	case doRead:
		return p.read(s)
	case doHead:
		return p.head()
	case doInfo:
		return p.info()
	case doFollow:
		return p.follow(s)
	case doBegin:
		return p.begin(s)
	case doGoOn:
		return p.goOn(s.Number)
	case doReopen:
		return errors.Join(p.close(), p.reopen())
	case doCloseInRead:
		return p.closeInRead(s)
	case doCallClosed:
		return p.callClosed(s)
	default:
		return p.maintain(s)
	}
}

func (p *pair) append(c eventstore.Commit) error {
	expected, expectedErr := p.memory.Append(p.ctx, c)
	found, err := p.bolt.Append(p.ctx, c)
	if err := sameError("Append", expectedErr, err); err != nil {
		return err
	}
	if expectedErr == nil && !expected.Repeated {
		p.accepted = append(p.accepted, accepted{c, p.now, p.ids, expected})
	}
	return same("Append", expected, found)
}

func (p *pair) lookup(key string) error {
	expected, there, expectedErr := p.memory.Lookup(p.ctx, key)
	found, isThere, err := p.bolt.Lookup(p.ctx, key)
	return errors.Join(sameError("Lookup", expectedErr, err), same("Lookup: found", there, isThere), same("Lookup", expected, found))
}

func (p *pair) read(s step) error {
	expected, expectedErr := collect(p.memory.Read(p.ctx, s.Query.toStore(), *s.Read))
	found, err := collect(p.bolt.Read(p.ctx, s.Query.toStore(), *s.Read))
	return errors.Join(sameError("Read", expectedErr, err), sameEvents("Read", expected, found))
}

func (p *pair) head() error {
	expected, expectedErr := p.memory.Head(p.ctx)
	found, err := p.bolt.Head(p.ctx)
	return errors.Join(sameError("Head", expectedErr, err), same("Head", expected, found))
}

// info compares the store's Info with the fields that must stay.
func (p *pair) info() error {
	i := p.bolt.Info()
	return errors.Join(same("Info: store id", p.id, i.StoreID), same("Info: epoch", p.epoch, i.Epoch),
		same("Info: warnings", []string(nil), i.Warnings), same("Info: gapless", true, i.Gapless), same("Info: durable", true, i.Durable),
		same("Info: limits", eventstore.StandardLimits(), i.Limits))
}

func (p *pair) follow(s step) error {
	f := p.newFollower(s)
	defer f.stop()
	return f.goOn()
}

func (p *pair) begin(s step) error {
	if old := p.followers[s.Number]; old != nil {
		old.stop()
	}
	f := p.newFollower(s)
	if err := f.goOn(); err != nil || f.over {
		delete(p.followers, s.Number)
		f.stop()
		return err
	}
	p.followers[s.Number] = f
	return nil
}

func (p *pair) goOn(number int) error {
	if f := p.followers[number]; f != nil {
		return f.goOn()
	}
	return nil
}

// closeInRead closes the stores after a number of events of a loop over Read.
func (p *pair) closeInRead(s step) error {
	expectedNext, stopExpected := iter.Pull2(p.memory.Read(p.ctx, s.Query.toStore(), *s.Read))
	defer stopExpected()
	next, stop := iter.Pull2(p.bolt.Read(p.ctx, s.Query.toStore(), *s.Read))
	defer stop()
	for n := 0; ; n++ {
		if n == s.Number {
			if err := p.close(); err != nil {
				return err
			}
		}
		expected, expectedErr, more := expectedNext()
		found, err, isMore := next()
		if !more && n >= s.Number && errors.Is(err, eventstore.ErrClosed) {
			return p.reopen() // a closed store may return ErrClosed or the end of the log
		}
		differ := errors.Join(sameError("Read", expectedErr, err), same("Read: more", more, isMore), same("Read", expected, found))
		if differ != nil {
			return fmt.Errorf("element %d, closed after %d: %w", n+1, s.Number, differ)
		}
		if !more || err != nil {
			if n < s.Number {
				if err := p.close(); err != nil {
					return err
				}
			}
			return p.reopen()
		}
	}
}

// callClosed calls closed stores.
func (p *pair) callClosed(s step) error {
	if err := p.close(); err != nil {
		return err
	}
	err := errors.Join(p.append(s.Commit.toStore()), p.lookup(s.Key), p.read(s), p.head(), p.follow(s), p.checkpoints(),
		p.getRows(s), p.scanRows(s), p.dropRows(s), p.attach(poisonedView))
	if err != nil {
		return fmt.Errorf("closed: %w", err)
	}
	return p.reopen()
}
