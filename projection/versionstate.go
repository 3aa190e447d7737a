package projection

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// versionID names a version of a projection, or all versions if the version is 0.
type versionID struct {
	name    string
	version uint32
}

func (id versionID) String() string {
	if id.version == 0 {
		return quote.Name(id.name)
	}
	return fmt.Sprintf("%s version %d", quote.Name(id.name), id.version)
}

// versionState is a host's own knowledge of a version of a projection, beyond that in the
// store. The host's mu guards it.
type versionState struct {
	// through is the position that the live build shows. The checkpoint in the store
	// is the same, or earlier by events that change no row.
	build   build
	through eventstore.Position
	// inline is true if this host has attached the version, or has tried to.
	inline bool
	// stopped is the error of the version's last run if the next one would end with
	// it too. It is nil while the version is run.
	stopped error
}

// state returns the state of a version. The caller holds mu.
func (h *Host) state(p *Projection) *versionState {
	id := byVersion(p)
	if h.versions[id] == nil {
		h.versions[id] = &versionState{}
	}
	return h.versions[id]
}

// report sets the position that the live build shows.
func (h *Host) report(p *Projection, b build, through eventstore.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state(p)
	s.build, s.through = b, through
	h.wake(p)
}

// reported returns the position that was reported of a build; 0 if none was.
func (h *Host) reported(p *Projection, b build) eventstore.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.state(p); s.build == b {
		return s.through
	}
	return 0
}

func (h *Host) setInline(p *Projection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state(p)
	s.inline, s.stopped = true, nil
}

func (h *Host) isInline(p *Projection) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state(p).inline
}

// setStopped sets the error that the version's run has stopped with, or nil when a run
// begins.
func (h *Host) setStopped(p *Projection, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state(p).stopped = err
	h.wake(p)
}

func (h *Host) stopped(p *Projection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state(p).stopped
}

// subscribe registers a channel that is sent a signal after each change of a version of
// the projection, until the returned function is called.
func (h *Host) subscribe(p *Projection, signal chan<- struct{}) (unsubscribe func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[p.name] == nil {
		h.waiting[p.name] = make(map[chan<- struct{}]bool)
	}
	h.waiting[p.name][signal] = true
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting[p.name], signal)
	}
}

// changed wakes the callers that wait for a version of the projection.
func (h *Host) changed(p *Projection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake(p)
}

// wake is changed for a caller that holds mu.
func (h *Host) wake(p *Projection) {
	for signal := range h.waiting[p.name] {
		send(signal)
	}
}

// send sends a signal unless the channel is full.
func send(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
