package vocabulary

import (
	"context"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// LastPosition returns the last position of the log, as of now, that is not above to and
// whose event was recorded at asOf or before. To 0 and the zero Time are no bounds. It
// returns 0 if there is no such position. The caller must check for 0 before it reads, since
// 0 in [eventstore.ReadOptions] is no bound.
func LastPosition(ctx context.Context, store eventstore.Store, to eventstore.Position, asOf time.Time) (eventstore.Position, error) {
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
	// Recorded never decreases along the log, so all events up to this one are of that time.
	last := eventstore.ReadOptions{To: through, AsOf: asOf, Backward: true, Limit: 1}
	for stored, err := range store.Read(ctx, eventstore.All(), last) {
		return stored.Position, err
	}
	return 0, nil
}
