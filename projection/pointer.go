package projection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

// A build is one construction of one version of a projection, in a view of its own. The
// pointer, a view without rows that has the projection's name, says which build is live,
// that is, read; a swap is one change of the pointer. So a new version and a rebuild of the
// live one are built in the same way, and a program that was killed at any moment finds
// its unfinished build in the pointer:
//
//	best-sellers        the pointer: {live: 1.3, builds: [2.4], dropped: [1.1]}
//	best-sellers@1.3    version 1, the third build of best-sellers: it is read
//	best-sellers@2.4    version 2, being built
//	best-sellers@1.1    rows to drop, some at a time; then it leaves the pointer

// build is one build of a version of a projection.
type build struct {
	Version uint32 `json:"version"`
	// Number is unique among the builds of all versions of the projection.
	Number uint64 `json:"number"`
	// Shape is the shape of the definition when the build began.
	Shape string `json:"shape"`
	// Tables are the tables of the definition; "" in a pointer of an earlier release.
	Tables tables `json:"tables,omitempty"`
}

// view returns the view that holds the build's rows.
func (b build) view(name string) eventstore.ViewID {
	return eventstore.ViewID(fmt.Sprintf("%s@%d.%d", name, b.Version, b.Number))
}

// pointer lists the builds of a projection.
type pointer struct {
	// Live is the build that is read; nil before the first one is complete.
	Live *build `json:"live,omitempty"`
	// Builds are unfinished, at most one of each version.
	Builds []build `json:"builds,omitempty"`
	// Dropped are no longer used; their rows are being dropped.
	Dropped []build `json:"dropped,omitempty"`
	// Later holds, by the number of a build, names that its events were given after
	// those of the shape. A program that does not know them is older than a rename,
	// and must not go on with the build.
	Later map[uint64][]string `json:"later,omitempty"`
	// Last is the number of the last build that was begun.
	Last uint64 `json:"last"`
}

// unfinished returns the unfinished build of a version, or nil.
func (p *pointer) unfinished(version uint32) *build {
	for i := range p.Builds {
		if p.Builds[i].Version == version {
			return &p.Builds[i]
		}
	}
	return nil
}

// begin adds a build, and drops the unfinished one of the same version.
func (p *pointer) begin(d *definition) build {
	p.drop(func(b build) bool { return b.Version == d.version })
	p.Last++
	b := build{Version: d.version, Number: p.Last, Shape: d.shape, Tables: d.declared()}
	p.Builds = append(p.Builds, b)
	return b
}

// swap makes an unfinished build live, and drops the live one and the unfinished ones of
// the same and earlier versions. It reports false if the build is not an unfinished one.
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

// drop drops the unfinished builds that match.
func (p *pointer) drop(match func(build) bool) {
	for _, b := range p.Builds {
		if match(b) {
			p.discard(b)
		}
	}
	p.Builds = slices.DeleteFunc(p.Builds, match)
}

// discard adds a build to those whose rows are dropped.
func (p *pointer) discard(b build) {
	b.Tables = ""
	p.Dropped = append(p.Dropped, b)
}

// isStray reports whether a view, which was listed before the pointer was read, is a build
// that has left the pointer. A program that was killed just after it had made the first
// checkpoint of a build that another program had dropped leaves such a view.
func (p *pointer) isStray(name string, view eventstore.ViewID) bool {
	id, found := strings.CutPrefix(string(view), name+"@")
	var b build
	if n, err := fmt.Sscanf(id, "%d.%d", &b.Version, &b.Number); !found || n != 2 || err != nil {
		return false
	}
	known := func(other build) bool { return other.Version == b.Version && other.Number == b.Number }
	return b.view(name) == view && b.Number <= p.Last &&
		(p.Live == nil || !known(*p.Live)) && !slices.ContainsFunc(p.Builds, known) && !slices.ContainsFunc(p.Dropped, known)
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

// knownPointer is a pointer as it was last read. It seldom changes, and decoding it would
// be much of the work of reading a row.
type knownPointer struct {
	at      eventstore.Checkpoint
	pointer pointer
}

// pointer returns the projection's pointer. The caller must not change it.
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

// changePointer calls change with the pointer, and commits the pointer if change returns
// true. It begins again if the pointer was changed in between.
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

// dropBuilds drops the rows of builds that are no longer used, and takes these out of the
// pointer.
func (h *Host) dropBuilds(ctx context.Context, p *Projection) error {
	views, err := h.store.Checkpoints(ctx)
	if err != nil {
		views = nil // such as damage of another view; a later call drops the stray builds
	}
	at, err := p.pointer(ctx, h.store)
	if err != nil {
		return err
	}
	for view := range views {
		if at.isStray(p.name, view) {
			if err := h.dropView(ctx, view); err != nil {
				return err
			}
		}
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
