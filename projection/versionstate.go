package projection

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// versionID names a version of a projection, or all of them if the version is 0.
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

// versionState is what a host knows of a version of a projection, beyond what is
// in the store. It is guarded by the host's mu.
type versionState struct {
	// through is a position that a build has reached, the live one: what is in
	// the store is the same, or behind it by events that change no row.
	build   build
	through eventstore.Position
	// inline says that the version was attached by this host.
	inline bool
	// stopped is what the last run of the version ended with, if it would end
	// with it again; nil while it is run, and after it has ended otherwise.
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

// report notes that a build, the live one, has reached a position.
func (h *Host) report(p *Projection, b build, through eventstore.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state(p)
	s.build, s.through = b, through
	h.wake(p)
}

// reported returns the position that a build is known to have reached.
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

// setStopped notes why the version's run has ended for good; nil is that it was
// begun.
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

// subscribe has a signal put into the channel after everything that changes where
// a version of the projection is, until the returned function is called.
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

// changed has all look again that wait for a version of the projection.
func (h *Host) changed(p *Projection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake(p)
}

// wake signals all that wait for a version of the projection. The caller holds mu.
func (h *Host) wake(p *Projection) {
	for signal := range h.waiting[p.name] {
		send(signal)
	}
}

// send puts a signal into the channel, unless there is one that was not received
// yet.
func send(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
