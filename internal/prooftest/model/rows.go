package model

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// doRows does a step about rows.
func (p *pair) doRows(s step) error {
	switch s.Do {
	case doCommitRows:
		return p.commitRows(*s.Rows)
	case doGetRows:
		return p.getRows(s)
	case doScanRows:
		return p.scanRows(s)
	case doDropRows:
		return p.dropRows(s)
	case doCheckpoints:
		return p.checkpoints()
	case doAttach:
		return p.attach(s.View)
	default:
		return fmt.Errorf("a step %q is not known", s.Do)
	}
}

func (p *pair) commitRows(c eventstore.RowCommit) error {
	expected := p.memory.CommitRows(p.ctx, c)
	return sameError("CommitRows", expected, p.bolt.CommitRows(p.ctx, c))
}

func (p *pair) getRows(s step) error {
	expected, expectedErr := p.memory.GetRows(p.ctx, s.View, s.RowKeys...)
	found, err := p.bolt.GetRows(p.ctx, s.View, s.RowKeys...)
	return errors.Join(sameError("GetRows", expectedErr, err), sameRows("GetRows", expected.Rows, found.Rows),
		sameCheckpoint("GetRows", expected.Checkpoint, found.Checkpoint))
}

func (p *pair) scanRows(s step) error {
	expected, expectedErr := collect(p.memory.ScanRows(p.ctx, s.View, *s.RowScan))
	found, err := collect(p.bolt.ScanRows(p.ctx, s.View, *s.RowScan))
	if err := sameError("ScanRows", expectedErr, err); err != nil || expectedErr != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("ScanRows: no page at all")
	}
	return errors.Join(sameRows("ScanRows", joined(expected), joined(found)),
		sameCheckpoint("ScanRows", expected[0].Checkpoint, found[0].Checkpoint))
}

// joined returns the rows of all pages.
func joined(pages []eventstore.RowSet) (rows []eventstore.Row) {
	for _, page := range pages {
		rows = append(rows, page.Rows...)
	}
	return rows
}

func (p *pair) dropRows(s step) error {
	more, expectedErr := p.memory.DropRows(p.ctx, s.View, s.Number)
	isMore, err := p.bolt.DropRows(p.ctx, s.View, s.Number)
	return errors.Join(sameError("DropRows", expectedErr, err), same("DropRows: more", more, isMore))
}

func (p *pair) checkpoints() error {
	expected, expectedErr := p.memory.Checkpoints(p.ctx)
	found, err := p.bolt.Checkpoints(p.ctx)
	if err := errors.Join(sameError("Checkpoints", expectedErr, err), same("Checkpoints: number", len(expected), len(found))); err != nil {
		return err
	}
	for view, c := range expected {
		if err := sameCheckpoint(fmt.Sprintf("Checkpoints: view %q", view), c, found[view]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) attach(view eventstore.ViewID) error {
	expected := p.memory.Attach(p.ctx, inlineView(view))
	return sameError("Attach", expected, p.bolt.Attach(p.ctx, inlineView(view)))
}

func sameCheckpoint(what string, expected, found eventstore.Checkpoint) error {
	if expected.Equal(found) {
		return nil
	}
	return same(what+": checkpoint", expected, found)
}
