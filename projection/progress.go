package projection

import (
	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// logID tells logs apart, however their stores are wrapped.
type logID struct {
	store uuid.UUID
	epoch uint64
}

func idOf(store eventstore.Store) logID {
	info := store.Info()
	return logID{info.StoreID, info.Epoch}
}

// progress is what this process knows of a projection on one log, beyond what is
// in the store. It is guarded by the projection's mu.
type progress struct {
	// through is a position that a build has reached, the live one: what is in
	// the store is the same, or behind it by events that change no row.
	build   build
	through eventstore.Position
	// inline says that the projection was attached here.
	inline bool
	// waiting are told of every progress.
	waiting map[chan<- struct{}]bool
}

// on returns the progress on a log. The caller holds mu.
func (p *Projection) on(id logID) *progress {
	if p.logs[id] == nil {
		p.logs[id] = &progress{waiting: make(map[chan<- struct{}]bool)}
	}
	return p.logs[id]
}

// report says that a build, the live one, has reached a position.
func (p *Projection) report(id logID, b build, through eventstore.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.on(id)
	on.build, on.through = b, through
	for signal := range on.waiting {
		send(signal)
	}
}

// known returns the position that a build is known to have reached.
func (p *Projection) known(id logID, b build) eventstore.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on := p.on(id); on.build == b {
		return on.through
	}
	return 0
}

func (p *Projection) setInline(id logID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on(id).inline = true
}

func (p *Projection) isInline(id logID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on(id).inline
}

// subscribe has signal told of every progress, until the returned function is called.
func (p *Projection) subscribe(id logID, signal chan<- struct{}) (unsubscribe func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	on := p.on(id)
	on.waiting[signal] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(on.waiting, signal)
	}
}
