package projection

import (
	"context"
	"errors"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// claim returns the build that a run of the definition writes: the live build if it is
// of this version, else an unfinished one, else a new one.
func (h *Host) claim(ctx context.Context, d *definition) (claimed build, live bool, err error) {
	err = h.changePointer(ctx, d.name, func(p *pointer) (changed bool, err error) {
		switch unfinished := p.unfinished(d.version); {
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
		case unfinished != nil && unfinished.Shape == d.shape:
			claimed, live = *unfinished, false
		default:
			claimed, live, changed = p.begin(d), false, true
		}
		if err := h.checkNames(ctx, d, p, claimed); err != nil {
			return false, err
		}
		return d.addNames(p, claimed) || changed, nil
	})
	return claimed, live, err
}

// checkNames returns an error if events that belong in the build are stored under names
// that the definition does not know, since it would pass them over.
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
		return invalidf("another program has stored events of the projection under the name %s (the first at position %d), which the registry does not know",
			quote.Name(e.Type), e.Position)
	}
	return nil
}

// addNames adds the later names of the definition's events to those of the build in the
// pointer, and reports whether that has changed it.
func (d *definition) addNames(p *pointer, b build) (changed bool) {
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

// begin returns the build that a rebuild of the definition writes: the unfinished one,
// unless restart says otherwise, else a new one.
func (h *Host) begin(ctx context.Context, d *definition, restart bool) (begun build, err error) {
	err = h.changePointer(ctx, d.name, func(p *pointer) (changed bool, err error) {
		if p.Live != nil && p.Live.Version == d.version {
			if err := h.checkNames(ctx, d, p, *p.Live); err != nil {
				return false, err
			}
		}
		if unfinished := p.unfinished(d.version); unfinished != nil && unfinished.Shape == d.shape && !restart {
			begun = *unfinished
		} else {
			begun, changed = p.begin(d), true
		}
		return d.addNames(p, begun) || changed, nil
	})
	return begun, err
}

// swap makes an unfinished build live, also after the context has ended, because the build
// may be attached already. It is no error if the build is live already, and errDropped if it
// was dropped.
func (h *Host) swap(ctx context.Context, d *definition, b build) error {
	return h.changePointer(context.WithoutCancel(ctx), d.name, func(p *pointer) (bool, error) {
		switch {
		case p.swap(b):
			return true, nil
		case p.Live != nil && *p.Live == b:
			return false, nil
		default:
			return false, errDropped
		}
	})
}

// errDropped means that a build is neither live nor unfinished. A run then claims another
// one.
var errDropped = errors.New("the build was dropped")

// checkCurrent returns nil if the build is live or unfinished, a *ReplacedError if another
// version is live, and errDropped otherwise.
func (h *Host) checkCurrent(ctx context.Context, d *definition, b build) error {
	p, err := d.pointer(ctx, h.store)
	if err != nil {
		return err
	}
	if p.Live != nil && *p.Live == b {
		return nil
	}
	if unfinished := p.unfinished(b.Version); unfinished != nil && *unfinished == b {
		return nil
	}
	if p.Live != nil && p.Live.Version != d.version {
		return d.replaced(p)
	}
	return errDropped
}

func (p *Projection) replaced(at *pointer) error {
	return &ReplacedError{Projection: p.name, Version: p.version, By: at.Live.Version}
}
