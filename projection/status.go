package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// State says whether a version of a projection can be read.
type State uint8

const (
	// NeverRun says that no build of this version was begun, or that it was dropped.
	NeverRun State = iota
	// Rebuilding says that it is being built and cannot be read yet.
	Rebuilding
	// Live says that it can be read, unless it has a fault.
	Live
	// Replaced says that a later version is live.
	Replaced
)

// String says the state in words.
func (s State) String() string {
	switch s {
	case NeverRun:
		return "never run"
	case Rebuilding:
		return "rebuilding"
	case Live:
		return "live"
	case Replaced:
		return "replaced"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// Status is how a version of a projection is.
type Status struct {
	Projection string
	Version    uint32
	State      State
	// Position is how far it has come: for Live the position that its tables
	// show, for Rebuilding that of the build.
	Position eventstore.Position
	// Head is the log's, and Behind how many events of the log, of whatever
	// type, are after Position.
	Head   eventstore.Position
	Behind uint64
	// Lag is the time between when the event at Position, or the first one if
	// that is 0, was recorded and when that at Head was.
	Lag time.Duration
	// Progress is when the position last changed in the store; for a
	// projection that is attached by this Host, when the event at Position was recorded.
	Progress time.Time
	// Fault is why an attached projection has stopped, nil if it has not.
	Fault *eventstore.Fault
	// Failure is the event that comes next and could not be applied, nil if
	// there is none.
	Failure *Failure
	// Skipped are the last 100 events that were skipped, the last one first,
	// and SkippedCount says how many there are in all.
	Skipped      []Failure
	SkippedCount uint64
	// Build is the view that all this is of.
	Build eventstore.ViewID
}

// skippedListed is how many skipped events Status lists.
const skippedListed = 100

// Status returns how this version of the projection is, whether it is run by this
// Host, by another one, or not at all. It is ErrInvalid for a nil projection, and
// for one that declares a table or index that its version was built without.
func (h *Host) Status(ctx context.Context, p *Projection) (Status, error) {
	if p == nil {
		return Status{}, invalidf("the projection is nil")
	}
	s := Status{Projection: p.name, Version: p.version}
	if err := h.status(ctx, p, &s); err != nil {
		return Status{}, p.wrap("status of", err)
	}
	return s, nil
}

func (h *Host) status(ctx context.Context, p *Projection, s *Status) (err error) {
	var b build
	if _, b, s.State, err = p.current(ctx, h.store); err != nil {
		return err
	}
	if s.State == Live || s.State == Rebuilding {
		s.Build = b.view(p.name)
		if err := h.statusOfBuild(ctx, p, b, s); err != nil {
			return err
		}
	}
	if s.Head, err = h.store.Head(ctx); err != nil || s.Head <= s.Position {
		return err
	}
	s.Behind = uint64(s.Head - s.Position)
	from, err := recorded(ctx, h.store, max(s.Position, 1))
	if err != nil {
		return err
	}
	to, err := recorded(ctx, h.store, s.Head)
	s.Lag = to.Sub(from)
	return err
}

func (h *Host) statusOfBuild(ctx context.Context, p *Projection, b build, s *Status) error {
	set, err := h.store.GetRows(ctx, s.Build, countKey)
	if err != nil {
		return err
	}
	c := set.Checkpoint
	s.Position = max(c.Position, h.reported(p, b))
	s.Fault, s.Failure, s.Progress = c.Fault, pending(c), readData(c).Progress
	if h.isInline(p) && s.Position > 0 {
		if s.Progress, err = recorded(ctx, h.store, s.Position); err != nil {
			return err
		}
	}
	if s.SkippedCount = readCount(set.Rows[0]); s.SkippedCount == 0 {
		return nil
	}
	scan := eventstore.RowScan{Table: skippedTable, Backward: true, Limit: skippedListed}
	for page, err := range h.store.ScanRows(ctx, s.Build, scan) {
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			f, err := readSkipped(row)
			if err != nil {
				return err
			}
			s.Skipped = append(s.Skipped, f)
		}
	}
	return nil
}

// recorded returns when the event at a position was recorded, or, in a log with
// gaps, the first one after it.
func recorded(ctx context.Context, store eventstore.Store, at eventstore.Position) (time.Time, error) {
	for e, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{From: at, Limit: 1}) {
		return e.Recorded, err
	}
	return time.Time{}, nil
}
