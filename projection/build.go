package projection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/vocabulary"
)

// BuildOptions bound a Build. Nil and the zero BuildOptions mean the whole log.
type BuildOptions struct {
	// To is the highest position to apply, inclusive. 0 means the head.
	To eventstore.Position
	// AsOf leaves out the events that were recorded after this time. The zero Time
	// leaves out none.
	AsOf time.Time
}

// View is a read model in memory, as of one position. It is a [Reader] for the tables and
// indexes of its projection. It never changes; it is safe for concurrent use by multiple
// goroutines. Make one with [Build].
type View struct {
	name    string
	live    build
	through eventstore.Position
	tables  map[string][]eventstore.Row // sorted by key
}

var _ Reader = (*View)(nil)

// Build runs the projection over the log of any store and returns its tables in memory,
// as of the head or an earlier position or time. It stores nothing. It is for tests, for
// single questions, and for questions about the past.
//
// Faults of the definition, a nil store, also a nil pointer in the interface, and a nil
// registry are ErrInvalid, all at once. An event that cannot be applied is a
// *HandlerError, unless the projection's policy is Skip.
func Build(
	ctx context.Context, store eventstore.Store, registry *codec.Registry, p *Projection, opts *BuildOptions,
) (*View, error) {
	d, err := p.define(registry)
	if p == nil && registry == nil { // define reports a nil registry only of a projection
		err = errors.Join(err, invalidf("the registry is nil"))
	}
	if nilErr := given.Store(store); nilErr != nil {
		err = errors.Join(err, invalidf("%w", nilErr))
	}
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &BuildOptions{}
	}
	v, err := d.view(ctx, store, *opts)
	if err != nil {
		return nil, p.wrap("build", err)
	}
	return v, nil
}

func (d *definition) view(ctx context.Context, store eventstore.Store, opts BuildOptions) (*View, error) {
	through, err := vocabulary.LastPosition(ctx, store, opts.To, opts.AsOf)
	if err != nil {
		return nil, err
	}
	buffer := rows.New(noRows{})
	if through > 0 { // ReadOptions.To 0 would mean the head
		for e, err := range store.Read(ctx, d.query, eventstore.ReadOptions{To: through}) {
			if err == nil {
				err = d.applyInline(ctx, buffer, &e)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	v := &View{name: d.name, live: build{Version: d.version, Number: 1, Shape: d.shape, Tables: d.declared()}, through: through}
	v.tables = make(map[string][]eventstore.Row)
	for _, row := range buffer.Rows() { // in the order of their keys
		if row.Value != nil {
			v.tables[row.Table] = append(v.tables[row.Table], row)
		}
	}
	return v, nil
}

// noRows are the rows of an empty view.
type noRows struct{}

func (noRows) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	found := make([]eventstore.Row, len(keys))
	for i, key := range keys {
		found[i].RowKey = key
	}
	return found, nil
}

func (noRows) Scan(eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(func(eventstore.Row, error) bool) {}
}

// Head returns the position that the view shows.
func (v *View) Head(ctx context.Context) (eventstore.Position, error) { return v.through, ctx.Err() }

// GetRows implements [Reader].
func (v *View) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	set := eventstore.RowSet{Checkpoint: v.checkpoint(view)}
	set.Rows, _ = noRows{}.Get(keys...)
	if set.Checkpoint.IsZero() {
		return set, ctx.Err()
	}
	for i, key := range keys {
		table := v.tables[key.Table]
		at := from(table, key.Key)
		if at < len(table) && bytes.Equal(table[at].Key, key.Key) {
			set.Rows[i].Value = bytes.Clone(table[at].Value)
		}
	}
	return set, ctx.Err()
}

// ScanRows implements [Reader], in one page.
func (v *View) ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	return func(yield func(eventstore.RowSet, error) bool) {
		if scan.Limit < 0 {
			yield(eventstore.RowSet{}, invalidf("scan limit %d is negative", scan.Limit))
			return
		}
		if err := ctx.Err(); err != nil {
			yield(eventstore.RowSet{}, err)
			return
		}
		table := v.tables[scan.Table]
		if len(scan.To) > 0 {
			table = table[:from(table, scan.To)]
		}
		table = slices.Clone(table[min(len(table), from(table, scan.From)):])
		if scan.Backward {
			slices.Reverse(table)
		}
		if scan.Limit > 0 && scan.Limit < len(table) {
			table = table[:scan.Limit]
		}
		for i := range table {
			table[i].Key, table[i].Value = bytes.Clone(table[i].Key), bytes.Clone(table[i].Value)
		}
		yield(eventstore.RowSet{Rows: table, Checkpoint: v.checkpoint(view)}, nil)
	}
}

// checkpoint returns the checkpoint of the view's one build, or of its pointer.
func (v *View) checkpoint(view eventstore.ViewID) eventstore.Checkpoint {
	data, err := json.Marshal(pointer{Live: &v.live, Last: v.live.Number})
	switch {
	case err == nil && view == eventstore.ViewID(v.name), view == v.live.view(v.name):
		return eventstore.Checkpoint{Position: v.through, Data: data}
	default:
		return eventstore.Checkpoint{}
	}
}

// from returns the index of the first row whose key is not below key.
func from(table []eventstore.Row, key []byte) int {
	return sort.Search(len(table), func(i int) bool { return bytes.Compare(table[i].Key, key) >= 0 })
}
