package projection

import (
	"context"
	"errors"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// claim returns the build that a run of the definition writes: the live one if
// it is of this version, else one that is under way, else a new one.
func (h *Host) claim(ctx context.Context, d *definition) (claimed build, live bool, err error) {
	err = h.changePointer(ctx, d.name, func(p *pointer) (changed bool, err error) {
		switch under := p.underWay(d.version); {
		case p.Live != nil && p.Live.Version > d.version:
			return false, d.replaced(p)
		case p.Live != nil && p.Live.Version == d.version:
			claimed, live = *p.Live, true
			if err := claimed.checkTables(d.declared()); err != nil {
				return false, err
			}
			if claimed.Shape != d.shape {
				return false, invalidf("the events, tables or indexes have changed since version %d was built: raise the version, or Rebuild", d.version)
			}
		case under != nil && under.Shape == d.shape:
			claimed, live = *under, false
		default:
			claimed, live, changed = p.begin(d), false, true
		}
		if err := h.checkNames(ctx, d, p, claimed); err != nil {
			return false, err
		}
		return d.noteNames(p, claimed) || changed, nil
	})
	return claimed, live, err
}

// checkNames returns an error if events of the build are stored under names that
// the definition does not know: it would pass them over.
func (h *Host) checkNames(ctx context.Context, d *definition, p *pointer, b build) error {
	var unknown []string
	for _, name := range p.Later[b.Number] {
		if !d.names[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	query := eventstore.Match(eventstore.Item{Types: unknown})
	for e, err := range h.store.Read(ctx, query, eventstore.ReadOptions{Limit: 1}) {
		if err != nil {
			return err
		}
		return invalidf("it takes events that another program has stored as %s (the first at position %d), and the registry has no such name for them",
			quote.Name(e.Type), e.Position)
	}
	return nil
}

// noteNames notes the later names of the build's events in the pointer, and
// reports whether it has changed.
func (d *definition) noteNames(p *pointer, b build) (changed bool) {
	for _, name := range d.later {
		if slices.Contains(p.Later[b.Number], name) {
			continue
		}
		if p.Later == nil {
			p.Later = make(map[uint64][]string)
		}
		p.Later[b.Number] = append(p.Later[b.Number], name)
		changed = true
	}
	return changed
}

// begin returns the build that a rebuild of the definition writes: one that is
// under way, unless it is to start over, else a new one.
func (h *Host) begin(ctx context.Context, d *definition, restart bool) (begun build, err error) {
	err = h.changePointer(ctx, d.name, func(p *pointer) (changed bool, err error) {
		if p.Live != nil && p.Live.Version == d.version {
			if err := h.checkNames(ctx, d, p, *p.Live); err != nil {
				return false, err
			}
		}
		if under := p.underWay(d.version); under != nil && under.Shape == d.shape && !restart {
			begun = *under
		} else {
			begun, changed = p.begin(d), true
		}
		return d.noteNames(p, begun) || changed, nil
	})
	return begun, err
}

// swap makes the build the one that is read. If it is so already, that is no
// error; if it is not under way any more, the error is errMoved. The context's end
// does not keep it from being done: the build may be attached already.
func (h *Host) swap(ctx context.Context, d *definition, b build) error {
	return h.changePointer(context.WithoutCancel(ctx), d.name, func(p *pointer) (bool, error) {
		switch {
		case p.swap(b):
			return true, nil
		case p.Live != nil && *p.Live == b:
			return false, nil
		default:
			return false, errMoved
		}
	})
}

// errMoved says that a run writes a build that is of no use any more, and has to
// claim another.
var errMoved = errors.New("the projection is built elsewhere")

// checkCurrent returns errMoved if the build is neither live nor under way, and
// a *ReplacedError if a later version is live.
func (h *Host) checkCurrent(ctx context.Context, d *definition, b build) error {
	p, err := d.pointer(ctx, h.store)
	if err != nil {
		return err
	}
	if p.Live != nil && *p.Live == b {
		return nil
	}
	if under := p.underWay(b.Version); under != nil && *under == b {
		return nil
	}
	if p.Live != nil && p.Live.Version != d.version {
		return d.replaced(p)
	}
	return errMoved
}

func (p *Projection) replaced(at *pointer) error {
	return &ReplacedError{Projection: p.name, Version: p.version, By: at.Live.Version}
}
