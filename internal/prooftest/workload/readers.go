package workload

import (
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// readers reads the store repeatedly while other goroutines append and maintain a view. An
// event that a reader sees must be durable, even before its append has returned.
func readers(s *session) error {
	var working, watching sync.WaitGroup
	errs := make([]error, 3)
	ended := make(chan struct{})
	working.Go(func() { errs[0] = s.appendAll(2, 12) })
	working.Go(func() { errs[1] = s.keepRows(8) })
	watching.Go(func() {
		w := watcher{session: s}
		for {
			select {
			case <-ended:
				return
			default:
			}
			if errs[2] = w.look(); errs[2] != nil {
				return
			}
		}
	})
	working.Wait()
	close(ended)
	watching.Wait()
	return errors.Join(errs...)
}

// keepRows brings the async view up to the head a number of times.
func (s *session) keepRows(times int) error {
	for range times {
		head, err := s.store.Head(s.ctx)
		if err != nil {
			return err
		}
		if err := s.followRows(head, 4); err != nil {
			return err
		}
	}
	return nil
}

// watcher marks the events that it sees for the first time.
type watcher struct {
	*session
	events, rows eventstore.Position
}

func (w *watcher) look() error {
	head, err := w.store.Head(w.ctx)
	if err != nil {
		return err
	}
	w.saw(head)
	for e, err := range w.store.Read(w.ctx, eventstore.All(), eventstore.ReadOptions{From: w.events + 1}) {
		if err != nil {
			return err
		}
		w.saw(e.Position)
	}
	for writer := range 2 {
		id, _ := w.next(writer)
		receipt, there, err := w.store.Lookup(w.ctx, id.Key())
		if err != nil {
			return err
		}
		if there {
			w.saw(receipt.Last)
		}
	}
	set, err := w.store.GetRows(w.ctx, Async)
	if err == nil && set.Checkpoint.Position > w.rows {
		w.rows = set.Checkpoint.Position
		w.mark("rows %s %d", Async, w.rows)
	}
	return err
}

func (w *watcher) saw(p eventstore.Position) {
	if p > w.events {
		w.events = p
		w.mark("seen %d", p)
	}
}
