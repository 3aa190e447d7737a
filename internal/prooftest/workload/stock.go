package workload

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// The payloads by event type: a codec distinguishes types by their Go types.
type (
	added   payload
	removed payload
	noted   payload
)

func newRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[added](b, Added, 1)
	codec.Register[removed](b, Removed, 1)
	codec.Register[noted](b, Noted, 1)
	return b.Build()
}

// stock is a projection: the quantity of each item. Rows come and go.
type stock struct {
	*projection.Projection
	items  *projection.Table[int, level]
	levels *projection.Index[int, level, int]
}

type level struct {
	Quantity int `json:"quantity"`
	Notes    int `json:"notes"`
}

// newStock returns version 1 or 2 of the projection. They count different things.
func newStock(version uint32) *stock {
	p := projection.New("stock", version)
	s := &stock{Projection: p, items: projection.NewTable[int, level](p, "items")}
	s.levels = projection.NewIndex(s.items, "level", func(l level) (int, bool) { return l.Quantity, true })
	change := func(tx projection.Tx, item, quantity, notes int) error {
		row, _, err := s.items.In(tx).Get(item)
		if err != nil {
			return err
		}
		row.Quantity, row.Notes = row.Quantity+quantity, row.Notes+notes
		if row.Quantity <= 0 && row.Notes == 0 {
			return s.items.In(tx).Delete(item)
		}
		return s.items.In(tx).Put(item, row)
	}
	projection.On(p, func(tx projection.Tx, e fold.Event[added]) error {
		return change(tx, e.Data.Item, e.Data.Quantity, 0)
	})
	projection.On(p, func(tx projection.Tx, e fold.Event[removed]) error {
		return change(tx, e.Data.Item, -2*e.Data.Quantity, 0)
	})
	if version > 1 {
		projection.On(p, func(tx projection.Tx, e fold.Event[noted]) error { return change(tx, e.Data.Item, 0, 1) })
	} else {
		projection.On(p, func(projection.Tx, fold.Event[noted]) error { return nil })
	}
	return s
}

// checkStock compares the projection with the log, and with the history of its
// versions.
func checkStock(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, h *History) error {
	if h.live == 0 && h.building == 0 {
		return nil
	}
	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		return err
	}
	var found uint32
	for _, version := range []uint32{1, 2} {
		s := newStock(version)
		status, err := views.Status(ctx, s.Projection)
		if err != nil {
			return err
		}
		if status.State != projection.Live {
			continue
		}
		found = version
		if err := s.compare(ctx, store, registry, status.Position); err != nil {
			return fmt.Errorf("projection version %d: %w", version, err)
		}
	}
	if found != h.live && found != h.building && (found != 0 || !h.gone) {
		return fmt.Errorf("version %d of the projection is live, and must be %d, or %d which was being built", found, h.live, h.building)
	}
	return nil
}

// compare compares the stored tables with those built from the log in memory.
func (s *stock) compare(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, at eventstore.Position) error {
	if at == 0 {
		return nil
	}
	want, err := projection.Build(ctx, store, registry, s.Projection, &projection.BuildOptions{To: at})
	if err != nil {
		return err
	}
	stored, err := s.read(ctx, store)
	if err != nil {
		return err
	}
	made, err := s.read(ctx, want)
	if err != nil {
		return err
	}
	if stored != made {
		return fmt.Errorf("at position %d it shows %s, the log makes %s", at, stored, made)
	}
	return nil
}

// read returns the table and its index as text.
func (s *stock) read(ctx context.Context, from projection.Reader) (string, error) {
	text := ""
	for row, err := range s.items.Scan(ctx, from, projection.Range[int]{}) {
		if err != nil {
			return "", fmt.Errorf("scan items: %w", err)
		}
		text += fmt.Sprintf("%d:%v ", row.Key, row.Value)
	}
	for row, err := range s.levels.Scan(ctx, from, projection.Range[int]{}) {
		if err != nil {
			return "", fmt.Errorf("scan levels: %w", err)
		}
		text += fmt.Sprintf("%d=%d ", row.Value.Quantity, row.Key)
	}
	return text, nil
}

// bringUp runs a version of the projection up to the head, or rebuilds it, and marks
// it.
func (s *session) bringUp(version uint32, rebuild bool) error {
	views, err := projection.NewHost(s.store, s.registry, nil)
	if err != nil {
		return err
	}
	p := newStock(version)
	s.mark("building %d", version)
	if rebuild {
		err = views.Rebuild(s.ctx, nil, p.Projection)
	} else {
		err = views.CatchUp(s.ctx, p.Projection)
	}
	var replaced *projection.ReplacedError
	if errors.As(err, &replaced) && !rebuild {
		return nil // by the later version, before the store was reopened
	}
	if err != nil {
		return fmt.Errorf("version %d: %w", version, err)
	}
	s.mark("live %d", version)
	return nil
}
