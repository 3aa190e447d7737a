package boltstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/progress"
	"github.com/yore-es/yore/internal/verify"
)

// VerifyOptions are the options of Verify. Nil and zero values mean the defaults.
type VerifyOptions struct {
	// MaxFindings bounds the findings that are returned; further ones are counted. Zero or
	// negative means 1000.
	MaxFindings int
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// VerifyReport is the result of Verify: what was checked and what was found.
type VerifyReport struct {
	// Head is the head of the log when Verify began. Later events are not checked.
	Head eventstore.Position
	// Events is the number of whole records.
	Events int
	// Postings is the number of whole entries of the index that belong to these records.
	Postings int
	// Views is the number of views with rows or a checkpoint, and Rows the number of their
	// whole rows.
	Views, Rows int
	// Unsettled are the views whose rows changed during each count. Each of their rows was
	// checked, but not that none is missing.
	Unsettled []eventstore.ViewID
	// Findings are the differences from what was written, at most MaxFindings.
	Findings []Finding
	// Omitted is the number of further findings.
	Omitted int
}

// OK reports whether nothing was found.
func (v VerifyReport) OK() bool { return len(v.Findings) == 0 }

// Finding is one thing that is not as it was written.
type Finding struct {
	Kind FindingKind
	// Position is the position of the event concerned, or of the first one; 0 if no
	// event is concerned.
	Position eventstore.Position
	// View is the view concerned, "" if it is none.
	View eventstore.ViewID
	// Problem describes the damage.
	Problem string
}

// String says all that the fields say.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Position > 0 {
		fmt.Fprintf(&b, ", position %d", f.Position)
	}
	if f.View != "" {
		fmt.Fprintf(&b, ", view %q", f.View)
	}
	b.WriteString(": ")
	b.WriteString(f.Problem)
	return b.String()
}

// FindingKind is the thing that a finding concerns.
type FindingKind string

// The kinds of findings. In the first group, events are lost or doubtful; [Salvage] saves
// the others. The second group concerns data derived from the log, which [Reindex] makes
// again. The third group concerns the file.
const (
	// DamagedRecord: the bytes of an event are not those that were written.
	DamagedRecord = FindingKind(verify.DamagedRecord)
	// MissingRecord: there is no event at a position up to the head.
	MissingRecord = FindingKind(verify.MissingRecord)
	// StrayRecord: the log holds something under a key that is no position in it, or an
	// event twice.
	StrayRecord = FindingKind(verify.StrayRecord)
	// InvalidRecord: an event is whole, and breaks a rule to which every append is held. So
	// no Append has written it: the log was restored from a forged backup, or written by
	// another program.
	InvalidRecord = FindingKind(verify.InvalidRecord)
	// BrokenCommit: events that lie side by side do not make up whole commits.
	BrokenCommit = FindingKind(verify.BrokenCommit)
	// BrokenChain: some event up to this position is whole, and not the one that was
	// appended there: it is older content of its page, or was written by another program.
	BrokenChain = FindingKind(verify.BrokenChain)
	// DecreasingTime: an event was recorded at an earlier time than the one before it.
	DecreasingTime = FindingKind(verify.DecreasingTime)
	// BrokenStream: a version does not fit its stream.
	BrokenStream = FindingKind(verify.BrokenStream)
	// RepeatedKey: a commit has the same key as an earlier one.
	RepeatedKey = FindingKind(verify.RepeatedKey)

	// IndexEntry: an entry of the index is damaged, missing, or one too many.
	IndexEntry = FindingKind(verify.IndexEntry)
	// DamagedRow: the bytes of a row are not those that were written.
	DamagedRow = FindingKind(verify.DamagedRow)
	// MissingRow: a view has not the rows that were written, though each that
	// it has is whole.
	MissingRow = FindingKind(verify.MissingRow)
	// StrayRow: there are rows of a view that has no checkpoint. So it is, too,
	// while a view is being dropped, and when that was not finished.
	StrayRow = FindingKind(verify.StrayRow)
	// DamagedCheckpoint: the bytes of a checkpoint are not those that were
	// written, or it is beyond the head.
	DamagedCheckpoint = FindingKind(verify.DamagedCheckpoint)

	// DamagedPage: a page of the file cannot be read.
	DamagedPage = FindingKind(verify.DamagedPage)
	// MetaPage: one of the two pages that describe the file is damaged.
	MetaPage = FindingKind(verify.MetaPage)
	// Description: what the file says of itself, its format and its identity,
	// is damaged.
	Description = FindingKind(verify.Description)
	// StrayBucket: the file holds something that is no part of a log.
	StrayBucket = FindingKind(verify.StrayBucket)
	// File: the file is not the one that the path names any more.
	File = FindingKind(verify.File)
)

// Verify reads all that the file holds up to the head, and reports what is not
// as it was written: every record, and its place in its commit and stream; the
// index against the log, both ways; the rows and checkpoints of views; the two
// pages that describe the file, and all pages that they lead to. It changes nothing.
//
// The store can be used meanwhile, also appended to. While Verify checks the tree of
// pages, which is first, none of them is used again, so the file may grow a little.
// Then it reads records and rows a page at a time, and holds no transaction between
// pages. Its memory does not grow with the log, but for a bit for each page of the file.
//
// An error means that Verify could not go on: the context's, or ErrClosed.
// Damage is not an error, it is found; so the VerifyReport must be looked at.
func (s *Store) Verify(ctx context.Context, o *VerifyOptions) (VerifyReport, error) {
	if err := s.usable(ctx); err != nil {
		return VerifyReport{}, err
	}
	opts := verify.Options{MaxFindings: 1000}
	if o != nil {
		opts.Progress = progress.Reporter(0, o.Progress)
		if o.MaxFindings > 0 {
			opts.MaxFindings = o.MaxFindings
		}
	}
	found, err := verify.Run(ctx, verify.Store{
		Access: s.access(),
		Seed:   s.seed,
		Head:   func() eventstore.Position { return s.tail.last().through },
		File:   s.file,
		Index:  func() (*index.Index, bool) { return s.index.current.Load(), s.index.down.Load() },
	}, opts)
	if err != nil {
		err = fmt.Errorf("verify %s: %w", s.file.Path, err)
	}
	return verifyReportOf(found), err
}

// verifyReportOf returns what was found as a caller knows it.
func verifyReportOf(found verify.Result) VerifyReport {
	v := VerifyReport{
		Head: found.Head, Events: found.Events, Postings: found.Postings, Views: found.Views, Rows: found.Rows,
		Unsettled: found.Unsettled, Omitted: found.Omitted,
	}
	for _, f := range found.Findings {
		v.Findings = append(v.Findings, Finding{Kind: FindingKind(f.Kind), Position: f.Position, View: f.View, Problem: f.Problem})
	}
	return v
}
