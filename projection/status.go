package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// State is the state of a version of a projection: whether it can be read.
type State uint8

const (
	// NeverRun means that no build of the version was begun, or it was dropped.
	NeverRun State = iota
	// Rebuilding means that the version is being built and cannot be read yet.
	Rebuilding
	// Live means that the version can be read, unless it has a fault.
	Live
	// Replaced means that a later version is live.
	Replaced
)

// String returns the state in words, such as "never run".
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

// Status describes a version of a projection.
type Status struct {
	Projection string
	Version    uint32
	State      State
	// Position is the position that the tables show if the version is Live, and that
	// the build has reached if it is Rebuilding.
	Position eventstore.Position
	// Head is the head of the log, and Behind the number of events, of any type,
	// after Position.
	Head   eventstore.Position
	Behind uint64
	// Lag is the time from the recording of the event at Position, or of the first
	// event if Position is 0, to that of the event at Head.
	Lag time.Duration
	// Progress is when the position last changed in the store; for a projection that
	// this Host has attached, when the event at Position was recorded.
	Progress time.Time
	// Fault is why an attached projection has stopped; nil if it has not.
	Fault *eventstore.Fault
	// Late is since when and why an attached projection does not show all events; nil
	// if it shows them.
	Late *eventstore.Late
	// Failure is the event after Position if it could not be applied, else nil.
	Failure *Failure
	// Skipped are the last 100 skipped events, the last one first. SkippedCount is
	// the number of all.
	Skipped      []Failure
	SkippedCount uint64
	// Build is the view in the store that holds the rows.
	Build eventstore.ViewID
}

// skippedListed is the number of skipped events that Status lists.
const skippedListed = 100

// Status returns the status of this version of the projection, whether this Host runs
// it, another one, or none. It is ErrInvalid for a nil projection, and for one that
// declares a table or index that its version was built without.
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
	s.Late = set.Late
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

// recorded returns when the event at a position was recorded. In a log with gaps, the
// first event after the position counts.
func recorded(ctx context.Context, store eventstore.Store, at eventstore.Position) (time.Time, error) {
	for e, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{From: at, Limit: 1}) {
		return e.Recorded, err
	}
	return time.Time{}, nil
}
