package projection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// A read model is built in a view of its own: a build of one version of its
// projection. The pointer, a view without rows that has the projection's name,
// says which build is read; a swap is one change of the pointer. So a new version
// and a rebuild of the live one are built in the same way, and a program that was
// killed at any moment finds in the pointer what it had begun:
//
//	best-sellers        the pointer: {live: 1.3, builds: [2.4], dropped: [1.1]}
//	best-sellers@1.3    version 1, the third build of best-sellers: what is read
//	best-sellers@2.4    version 2, being built
//	best-sellers@1.1    rows to drop: a slice at a time, then it leaves the pointer

// build is one build of a version of a projection.
type build struct {
	Version uint32 `json:"version"`
	// Number is unique among all builds of the projection, whatever version.
	Number uint64 `json:"number"`
	// Shape is the definition's when the build began.
	Shape string `json:"shape"`
	// Tables are the definition's too; "" in a pointer that was written before
	// there were any.
	Tables tables `json:"tables,omitempty"`
}

// view returns the view that the build's rows are in.
func (b build) view(name string) eventstore.ViewID {
	return eventstore.ViewID(fmt.Sprintf("%s@%d.%d", name, b.Version, b.Number))
}

// pointer is what the store knows of the builds of a projection.
type pointer struct {
	// Live is the build that is read; nil before the first one is complete.
	Live *build `json:"live,omitempty"`
	// Builds are under way, at most one of each version.
	Builds []build `json:"builds,omitempty"`
	// Dropped are no longer used; their rows are being dropped.
	Dropped []build `json:"dropped,omitempty"`
	// Later holds, by the number of a build, the names that its events have got
	// since they had those of the shape. A program of before a rename does not
	// know them, and must not go on with the build.
	Later map[uint64][]string `json:"later,omitempty"`
	// Last is the number of the last build that was begun.
	Last uint64 `json:"last"`
}

// underWay returns the build of a version that is under way, or nil.
func (p *pointer) underWay(version uint32) *build {
	for i := range p.Builds {
		if p.Builds[i].Version == version {
			return &p.Builds[i]
		}
	}
	return nil
}

// begin adds a build, and drops the one of the same version that is under way.
func (p *pointer) begin(d *definition) build {
	p.drop(func(b build) bool { return b.Version == d.version })
	p.Last++
	b := build{Version: d.version, Number: p.Last, Shape: d.shape, Tables: d.declared()}
	p.Builds = append(p.Builds, b)
	return b
}

// swap makes a build that is under way the one that is read, and drops the one
// that was, and older ones that are under way. It reports false if the build
// is not under way.
func (p *pointer) swap(b build) bool {
	if !slices.Contains(p.Builds, b) {
		return false
	}
	p.Builds = slices.DeleteFunc(p.Builds, func(other build) bool { return other == b })
	p.drop(func(other build) bool { return other.Version <= b.Version })
	if p.Live != nil {
		p.discard(*p.Live)
	}
	p.Live = &b
	return true
}

// drop drops the builds under way that match.
func (p *pointer) drop(match func(build) bool) {
	for _, b := range p.Builds {
		if match(b) {
			p.discard(b)
		}
	}
	p.Builds = slices.DeleteFunc(p.Builds, match)
}

// discard notes that a build is no longer read, so that its rows are dropped.
func (p *pointer) discard(b build) {
	b.Tables = ""
	p.Dropped = append(p.Dropped, b)
}

// decodePointer returns the pointer in a checkpoint; an empty one for the zero Checkpoint.
func decodePointer(name string, at eventstore.Checkpoint) (p pointer, err error) {
	if at.IsZero() {
		return pointer{}, nil
	}
	if err := json.Unmarshal(at.Data, &p); err != nil {
		return pointer{}, fmt.Errorf("view %q is not the pointer of a projection: %w", name, err)
	}
	return p, nil
}

// knownPointer is a pointer as it was last read. It seldom changes, and to decode
// it would be much of the work of reading a row.
type knownPointer struct {
	at      eventstore.Checkpoint
	pointer pointer
}

// pointer returns the projection's pointer, which is not to be changed.
func (p *Projection) pointer(ctx context.Context, r Reader) (*pointer, error) {
	set, err := r.GetRows(ctx, eventstore.ViewID(p.name))
	if err != nil {
		return nil, err
	}
	at := set.Checkpoint
	if known := p.lastPointer.Load(); known != nil && known.at.Equal(at) {
		return &known.pointer, nil
	}
	decoded, err := decodePointer(p.name, at)
	if err != nil {
		return nil, err
	}
	at.Data = bytes.Clone(at.Data)
	known := &knownPointer{at, decoded}
	p.lastPointer.Store(known)
	return &known.pointer, nil
}

// changePointer lets change change the pointer, and commits it if it says that
// it did; again from the start if another change was faster.
func (h *Host) changePointer(ctx context.Context, name string, change func(*pointer) (bool, error)) error {
	for {
		set, err := h.store.GetRows(ctx, eventstore.ViewID(name))
		if err != nil {
			return err
		}
		p, err := decodePointer(name, set.Checkpoint)
		if err != nil {
			return err
		}
		changed, err := change(&p)
		if err != nil || !changed {
			return err
		}
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		err = h.store.CommitRows(ctx, eventstore.RowCommit{
			View: eventstore.ViewID(name), Expected: set.Checkpoint, Checkpoint: eventstore.Checkpoint{Data: data},
		})
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
	}
}

// dropSlice is how many rows are dropped at a time.
const dropSlice = 2048

// dropView drops a build's rows and checkpoint.
func (h *Host) dropView(ctx context.Context, view eventstore.ViewID) error {
	for {
		more, err := h.store.DropRows(ctx, view, dropSlice)
		if err != nil {
			return fmt.Errorf("drop the rows of %q: %w", view, err)
		}
		if !more {
			return nil
		}
	}
}

// dropBuilds drops the rows of the builds that are no longer used.
func (h *Host) dropBuilds(ctx context.Context, p *Projection) error {
	at, err := p.pointer(ctx, h.store)
	if err != nil {
		return err
	}
	for _, b := range at.Dropped {
		if err := h.dropView(ctx, b.view(p.name)); err != nil {
			return err
		}
		err := h.changePointer(ctx, p.name, func(p *pointer) (bool, error) {
			kept := slices.DeleteFunc(slices.Clone(p.Dropped), func(other build) bool { return other == b })
			changed := len(kept) < len(p.Dropped)
			p.Dropped = kept
			delete(p.Later, b.Number)
			return changed, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
