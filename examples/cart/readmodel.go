package main

import (
	"context"
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/projection"
)

// attach attaches the summaries, so that every commit includes them. If they are missing
// or behind, it first brings them up to date.
func (s *shop) attach(ctx context.Context) error {
	err := s.views.Attach(ctx, s.summaries.Projection)
	if errors.Is(err, eventstore.ErrFaulted) {
		// The handlers may have been corrected since. Rebuild attaches the new rows.
		err = s.views.Rebuild(ctx, nil, s.summaries.Projection)
	}
	return err
}

// update brings a read model up to the head. The read model must not be running.
func (s *shop) update(ctx context.Context, p *projection.Projection) error {
	err := s.views.CatchUp(ctx, p)
	if errors.Is(err, eventstore.ErrFaulted) {
		err = s.views.Rebuild(ctx, nil, p)
	}
	return err
}

// runRanking keeps the best sellers up to date, on a goroutine, until stop is called. The
// function wait waits until they include a position; it returns an error if the goroutine
// has failed.
func (s *shop) runRanking(ctx context.Context) (wait func(eventstore.Position) error, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	running.Go(func() { end(s.views.Run(ctx, s.ranking.Projection)) })
	wait = func(position eventstore.Position) error {
		return s.views.Wait(ctx, position, s.ranking.Projection)
	}
	return wait, func() { end(nil); running.Wait() }
}

// withReadModel opens the log and calls ask to read a read model. If the read model is not
// at the head, withReadModel opens the log for writing and updates it first. If the log
// cannot be written, it builds the read model in memory, from the whole log; the rows are
// the same.
func withReadModel(
	ctx context.Context, e *environment, which func(*shop) *projection.Projection,
	ask func(*shop, projection.Reader) error,
) error {
	upToDate := false
	err := withShopToRead(e, func(s *shop) error {
		status, err := s.views.Status(ctx, which(s))
		upToDate = status.State == projection.Live && status.Fault == nil && status.Behind == 0
		if err != nil || !upToDate {
			return err
		}
		return ask(s, s.store)
	})
	if err != nil || upToDate {
		return err
	}
	late := useLog(e.db, nil, func(s *shop) error { return s.update(ctx, which(s)) })
	return withShopToRead(e, func(s *shop) error {
		if late == nil {
			return ask(s, s.store)
		}
		view, err := projection.Build(ctx, s.store, s.registry, which(s), nil)
		if err != nil {
			return err
		}
		e.note("the read model %q is behind and could not be updated (%w); this is from the whole log", which(s).Name(), late)
		return ask(s, view)
	})
}
