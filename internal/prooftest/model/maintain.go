package model

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// accepted is a commit in the log, and its receipt.
type accepted struct {
	commit  eventstore.Commit
	now     time.Time
	ids     uint64
	receipt eventstore.Receipt
}

// backedUp is the backups that were taken, each continuing the one before.
type backedUp struct {
	parts   [][]byte
	through eventstore.Position
	epoch   uint64
}

// maintain does a step of an operator.
func (p *pair) maintain(s step) error {
	switch s.Do {
	case doVerify:
		return p.verify()
	case doCompact:
		return p.offline(false, func() error {
			_, err := boltstore.Compact(p.ctx, p.path, nil)
			return err
		})
	case doRebuild:
		keep := s.Number > 0
		return p.offline(!keep, func() error {
			_, err := boltstore.Reindex(p.ctx, p.path, &boltstore.ReindexOptions{KeepViews: keep})
			return err
		})
	case doBackup:
		return p.backUp(s.Number > 0)
	case doRestore:
		return p.restore()
	case doSalvage:
		return p.salvage()
	case doImport:
		return p.exportImport(s.Number)
	default:
		return p.doRows(s)
	}
}

// verify verifies the store. It must find nothing, except rows of views that are
// being dropped.
func (p *pair) verify() error {
	v, err := p.bolt.Verify(p.ctx, nil)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for _, f := range v.Findings {
		if dropping, err := p.dropping(f.View); f.Kind != boltstore.StrayRow || !dropping || err != nil {
			return errors.Join(fmt.Errorf("verify found: %v", f), err)
		}
	}
	head, err := p.memory.Head(p.ctx)
	return errors.Join(err, same("Verify: events", int(head), v.Events), same("Verify: head", head, v.Head))
}

// dropping reports whether a view has rows but no checkpoint.
func (p *pair) dropping(view eventstore.ViewID) (bool, error) {
	for _, table := range tables {
		pages, err := collect(p.memory.ScanRows(p.ctx, view, eventstore.RowScan{Table: table, Limit: 1}))
		if err != nil {
			return false, err
		}
		if len(joined(pages)) > 0 {
			return pages[0].Checkpoint.IsZero(), nil
		}
	}
	return false, nil
}

// offline closes the stores, calls work on the file, and opens them again. work
// removes the rest of views that are being dropped, or all views.
func (p *pair) offline(allViews bool, work func() error) error {
	for _, view := range viewIDs {
		drop, err := p.dropping(view)
		if err != nil {
			return err
		}
		if drop || allViews {
			if _, err := p.memory.DropRows(p.ctx, view, math.MaxInt); err != nil {
				return err
			}
		}
	}
	if err := p.close(); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return p.reopen()
}

// backUp takes a backup: a full one, or one that continues those before.
func (p *pair) backUp(full bool) error {
	info := p.bolt.Info()
	if full || p.backups.epoch != info.Epoch || p.backups.through == 0 {
		p.backups = backedUp{epoch: info.Epoch}
	}
	var b bytes.Buffer
	manifest, err := p.bolt.Backup(p.ctx, &b, &boltstore.BackupOptions{After: p.backups.through})
	if err != nil {
		return err
	}
	head, err := p.memory.Head(p.ctx)
	if err := errors.Join(err, same("Backup: through", head, manifest.Through)); err != nil {
		return err
	}
	p.backups.parts = append(p.backups.parts, b.Bytes())
	p.backups.through = head
	return nil
}

// restore replaces the log by that of the backups.
func (p *pair) restore() error {
	if len(p.backups.parts) == 0 {
		return nil
	}
	info := p.bolt.Info()
	var parts []io.Reader
	for _, part := range p.backups.parts {
		parts = append(parts, bytes.NewReader(part))
	}
	if err := p.close(); err != nil {
		return err
	}
	if _, err := boltstore.Restore(p.ctx, p.path, &boltstore.RestoreOptions{Replace: true}, parts...); err != nil {
		return err
	}
	if err := errors.Join(p.goBack(p.backups.through), p.open()); err != nil {
		return err
	}
	restored := p.bolt.Info()
	p.id, p.epoch = restored.StoreID, restored.Epoch
	return errors.Join(same("Restore: store id", info.StoreID, restored.StoreID),
		same("Restore: a later epoch", true, restored.Epoch > info.Epoch))
}

// salvage replaces the log by the salvaged one, which must be complete.
func (p *pair) salvage() error {
	events := len(p.log())
	if events == 0 {
		return nil // salvaging an empty log is an error
	}
	p.files++
	path := fmt.Sprint(p.path, ".", p.files)
	return p.offline(true, func() error {
		s, err := boltstore.Salvage(p.ctx, p.path, path, nil)
		if err := errors.Join(err, same("Salvage: events", events, s.Events), same("Salvage: missing", uint64(0), s.MissingEvents),
			same("Salvage: same store", true, s.SameStore), same("Salvage: a later epoch", true, s.Epoch > p.epoch)); err != nil {
			return err
		}
		p.path, p.epoch, p.backups = path, s.Epoch, backedUp{}
		return nil
	})
}

// exportImport imports the exported lines into a new file. If first is not 0 it
// imports twice: at first only first lines, which may end inside a commit, and then
// all.
func (p *pair) exportImport(first int) error {
	var lines bytes.Buffer
	if _, err := p.bolt.Export(p.ctx, &lines, nil); err != nil {
		return err
	}
	p.files++
	path := fmt.Sprint(p.path, ".", p.files)
	err := p.offline(true, func() error {
		if first > 0 {
			part := bytes.Join(firstLines(lines.Bytes(), first), nil)
			if _, err := boltstore.Import(p.ctx, path, bytes.NewReader(part), nil); err != nil && !errors.Is(err, eventstore.ErrInvalid) {
				return err
			}
		}
		imported, err := boltstore.Import(p.ctx, path, &lines, nil)
		p.path, p.id, p.epoch, p.backups = path, zeroID, 1, backedUp{}
		return errors.Join(err, same("Import: events", len(p.log()), imported.Present+imported.Appended))
	})
	if err != nil {
		return fmt.Errorf("export and import: %w", err)
	}
	p.id = p.bolt.Info().StoreID
	return nil
}

func firstLines(text []byte, n int) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(text) {
		if len(lines) == n {
			break
		}
		lines = append(lines, line)
	}
	return lines
}

// log returns the events that were accepted.
func (p *pair) log() (events []eventstore.NewEvent) {
	for _, a := range p.accepted {
		events = append(events, a.commit.Events...)
	}
	return events
}

// goBack replaces the oracle by one with the log up to a position and without views.
// It appends the accepted commits again.
func (p *pair) goBack(through eventstore.Position) error {
	p.memory = memstore.New(p.memoryOptions())
	all := p.accepted
	p.accepted = nil
	for _, a := range all {
		if a.receipt.Last > through {
			break
		}
		p.now, p.ids, p.idsMem = a.now, a.ids, 0
		receipt, err := p.memory.Append(p.ctx, a.commit)
		if err := errors.Join(err, same("the oracle: Append again", a.receipt, receipt)); err != nil {
			return err
		}
		p.accepted = append(p.accepted, a)
	}
	return nil
}
