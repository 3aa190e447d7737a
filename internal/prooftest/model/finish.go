package model

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// finish compares all events and rows, reopens the file, compares them again, and
// closes both stores.
func (p *pair) finish() error {
	for _, when := range []string{"in the end", "in the end, opened again"} {
		if err := errors.Join(p.compareLogs(), p.compareRows(), p.verify()); err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		if err := errors.Join(p.close(), p.reopen()); err != nil {
			return err
		}
	}
	return p.close()
}

func (p *pair) compareLogs() error {
	queries := []query{{All: true}}
	for _, stream := range streams {
		queries = append(queries, query{Items: []eventstore.Item{{Streams: []eventstore.StreamID{stream}}}})
	}
	for _, category := range categories {
		queries = append(queries, query{Items: []eventstore.Item{{Categories: []string{category}}}})
	}
	for _, tag := range tags {
		queries = append(queries, query{Items: []eventstore.Item{{Tags: []eventstore.Tag{tag}, Types: types[:2]}}})
	}
	for _, q := range queries {
		for _, backward := range []bool{false, true} {
			if err := p.read(step{Query: q, Read: &eventstore.ReadOptions{Backward: backward}}); err != nil {
				return fmt.Errorf("%v, backward %v: %w", q.toStore(), backward, err)
			}
		}
	}
	return errors.Join(p.head(), p.info())
}

func (p *pair) compareRows() error {
	if err := p.checkpoints(); err != nil {
		return err
	}
	for _, view := range viewIDs {
		for _, table := range tables {
			if err := errors.Join(
				p.scanRows(step{View: view, RowScan: &eventstore.RowScan{Table: table}}),
				p.scanRows(step{View: view, RowScan: &eventstore.RowScan{Table: table, Backward: true}}),
				p.getTable(view, table),
			); err != nil {
				return fmt.Errorf("view %q, table %q: %w", view, table, err)
			}
		}
	}
	return nil
}

// getTable gets each row of a table by its key.
func (p *pair) getTable(view eventstore.ViewID, table string) error {
	pages, err := collect(p.memory.ScanRows(p.ctx, view, eventstore.RowScan{Table: table}))
	if err != nil {
		return err
	}
	var keys []eventstore.RowKey
	for _, row := range joined(pages) {
		keys = append(keys, row.RowKey)
	}
	return p.getRows(step{View: view, RowKeys: keys})
}
