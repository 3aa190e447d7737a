package model

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// rowCommit returns a change of a view's rows, mostly from its actual checkpoint.
func (g *generator) rowCommit(view eventstore.ViewID) *eventstore.RowCommit {
	c := &eventstore.RowCommit{
		View:       view,
		Checkpoint: eventstore.Checkpoint{Position: g.position(), Data: fmt.Append(nil, g.IntN(3))},
	}
	if set, err := g.pair.memory.GetRows(g.pair.ctx, view); err == nil {
		c.Expected = set.Checkpoint
	}
	if c.Expected.Position > 0 && g.chance(80) {
		c.Checkpoint.Position = max(c.Expected.Position, c.Checkpoint.Position)
	}
	switch g.IntN(40) {
	case 0:
		c.Checkpoint = eventstore.Checkpoint{}
	case 1:
		c.Checkpoint.Fault = &eventstore.Fault{Position: g.position(), Type: "added", Reason: "told to"}
	case 2:
		c.Expected.Fault = nil
	case 3, 4, 5:
		c.Expected.Data = []byte("other")
	}
	const few = 12
	n, spread := g.IntN(few), 1
	switch kind := g.IntN(60); {
	case kind == 0:
		n = 200 + g.IntN(400) // more than a page of a scan
	case kind < 16:
		n, spread = few+1+g.IntN(30), 7 // a layer over the rows of an existing view
	}
	first := g.IntN(40)
	for i := range n {
		r := eventstore.Row{RowKey: g.rowKey(), Value: fmt.Append(nil, g.IntN(1_000))}
		if n > few {
			r.Table, r.Key = tables[0], fmt.Appendf(nil, "%04d", first+i*spread)
		}
		switch g.IntN(8) {
		case 0, 1:
			r.Value = nil
		case 2:
			r.Value = []byte{}
		case 3:
			r.Value = make([]byte, g.IntN(5_000))
		}
		c.Rows = append(c.Rows, r)
	}
	return c
}

func (g *generator) rowKey() eventstore.RowKey { return rowKey(pick(g, tables), pick(g, rowKeys)) }

func (g *generator) rowKeys() []eventstore.RowKey {
	keys := []eventstore.RowKey{rowKey("t", pick(g, types)), rowKey("T", "last of "+string(pick(g, streams)))}
	for range g.IntN(6) {
		keys = append(keys, g.rowKey())
	}
	return keys
}

func (g *generator) rowScan() *eventstore.RowScan {
	scan := &eventstore.RowScan{Table: pick(g, tables), Backward: g.chance(50)}
	if g.chance(40) {
		scan.From = g.rowKey().Key
	}
	if g.chance(40) {
		scan.To = g.rowKey().Key
	}
	if g.chance(40) {
		scan.Limit = 1 + g.IntN(4)
	}
	if g.chance(1) {
		scan.Limit = -1
	}
	return scan
}
