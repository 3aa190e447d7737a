package projection

import (
	"context"
	"errors"

	"github.com/yore-es/yore/eventstore"
)

// claim returns the build that a run of the definition writes: the live one if
// it is of this version, else one that is under way, else a new one.
func (d *definition) claim(ctx context.Context, store eventstore.RowStore) (claimed build, live bool, err error) {
	err = changePointer(ctx, store, d.name, func(p *pointer) (bool, error) {
		switch under := p.underWay(d.version); {
		case p.Live != nil && p.Live.Version > d.version:
			return false, d.replaced(p)
		case p.Live != nil && p.Live.Version == d.version:
			claimed, live = *p.Live, true
			if claimed.Shape != d.shape {
				return false, invalidf("the events, tables or indexes of projection %q have changed since version %d was built: raise the version, or Rebuild", d.name, d.version)
			}
			return false, nil
		case under != nil && under.Shape == d.shape:
			claimed, live = *under, false
			return false, nil
		default:
			claimed, live = p.begin(d.version, d.shape), false
			return true, nil
		}
	})
	return claimed, live, err
}

// begin returns the build that a rebuild of the definition writes: one that is
// under way, unless it is to start over, else a new one.
func (d *definition) begin(ctx context.Context, store eventstore.RowStore, over bool) (begun build, err error) {
	err = changePointer(ctx, store, d.name, func(p *pointer) (bool, error) {
		if under := p.underWay(d.version); under != nil && under.Shape == d.shape && !over {
			begun = *under
			return false, nil
		}
		begun = p.begin(d.version, d.shape)
		return true, nil
	})
	return begun, err
}

// swap makes the build the one that is read. If it is so already, that is no
// error; if it is not under way any more, the error is errMoved. The context's end
// does not keep it from being done: the build may be attached already.
func (d *definition) swap(ctx context.Context, store eventstore.RowStore, b build) error {
	return changePointer(context.WithoutCancel(ctx), store, d.name, func(p *pointer) (bool, error) {
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
func (d *definition) checkCurrent(ctx context.Context, store eventstore.RowStore, b build) error {
	p, _, err := readPointer(ctx, store, d.name)
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
		return d.replaced(&p)
	}
	return errMoved
}

func (p *Projection) replaced(at *pointer) error {
	return &ReplacedError{Projection: p.name, Version: p.version, By: at.Live.Version}
}
