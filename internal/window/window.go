// Package window says where the part of a log ends that is bounded by a position
// and a time.
package window

import (
	"context"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// End returns the last position of the log, as of now, that is not beyond to and whose
// event was recorded at asOf or before. To 0 and the zero Time are no bounds. If there
// is no such position, End returns 0: a reader must check for it, because as an option
// of Read 0 is no bound.
func End(ctx context.Context, store eventstore.Store, to eventstore.Position, asOf time.Time) (eventstore.Position, error) {
	through, err := store.Head(ctx)
	if err != nil {
		return 0, err
	}
	if to > 0 {
		through = min(through, to)
	}
	if asOf.IsZero() || through == 0 {
		return through, nil
	}
	// Recorded never decreases along the log: the last event of that time ends it.
	last := eventstore.ReadOptions{To: through, AsOf: asOf, Backward: true, Limit: 1}
	for stored, err := range store.Read(ctx, eventstore.All(), last) {
		return stored.Position, err
	}
	return 0, nil
}
