package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// Store is an open store, as Run needs it.
type Store struct {
	logfile.Access
	Seed record.Seed // of the log's checksums
	// Head returns the highest durable position.
	Head func() eventstore.Position
	File *logfile.File
	// Index returns the index, or nil, and whether the store has stopped using it because
	// it is damaged.
	Index func() (x *index.Index, down bool)
}

// Options are the options of Run.
type Options struct {
	// MaxFindings bounds the findings that are returned; more are counted. Zero returns none.
	MaxFindings int
	// Progress, if not nil, is called after each page of records with the position through
	// which the log has been checked, and the head. No transaction is open then.
	Progress func(done, total eventstore.Position)
}

// Result reports what was checked and found. boltstore.VerifyReport describes the fields.
type Result struct {
	Head                          eventstore.Position
	Events, Postings, Views, Rows int
	Unsettled                     []eventstore.ViewID
	Findings                      []Finding
	Omitted                       int
}

// Finding is one fault.
type Finding struct {
	Kind     Kind
	Position eventstore.Position // of the event concerned; 0: none
	View     eventstore.ViewID   // concerned; "": none
	Problem  string
}

// Kind is the kind of a finding.
type Kind string

// The kinds of findings; boltstore documents them under the same names.
const (
	DamagedRecord     Kind = "damaged record"
	MissingRecord     Kind = "missing record"
	StrayRecord       Kind = "stray record"
	InvalidRecord     Kind = "invalid record"
	BrokenCommit      Kind = "broken commit"
	BrokenChain       Kind = "broken chain"
	DecreasingTime    Kind = "decreasing time"
	BrokenStream      Kind = "broken stream"
	RepeatedKey       Kind = "repeated key"
	IndexEntry        Kind = "index entry"
	DamagedRow        Kind = "damaged row"
	MissingRow        Kind = "missing row"
	StrayRow          Kind = "stray row"
	DamagedCheckpoint Kind = "damaged checkpoint"
	DamagedPage       Kind = "damaged page"
	MetaPage          Kind = "meta page"
	Description       Kind = "description"
	StrayBucket       Kind = "stray bucket"
	File              Kind = "file"
)

// Run reads everything in the file up to the head, and returns the faults. Damage is not an
// error. The error, that of Usable or ErrClosed, means that the verification is not complete;
// the result then has what was found before.
func Run(ctx context.Context, s Store, opts Options) (Result, error) {
	v := &verifier{store: s, ctx: ctx, opts: opts}
	v.beginIndex()
	defer v.endIndex()
	v.result.Head = s.Head() // read after the snapshot of the index, so the index is not beyond it
	for _, check := range []func() error{v.checkFile, v.checkBuckets, v.checkStatus, v.checkLog, v.checkIndex, v.checkViews} {
		if err := check(); err != nil {
			return v.result, err
		}
	}
	return v.result, nil
}

// verifier is one call of Run.
type verifier struct {
	store  Store
	ctx    context.Context // of the call
	opts   Options
	result Result

	index   *index.Checker // nil: there is no index to check
	damaged int            // how many records could not be read; their postings are not known
}

const verifyEvents = 1024 // events or rows in a page

// add notes a finding.
func (v *verifier) add(kind Kind, p eventstore.Position, problem string, args ...any) {
	v.addFinding(Finding{Kind: kind, Position: p, Problem: fmt.Sprintf(problem, args...)})
}

// count returns the number of findings so far.
func (v *verifier) count() int { return len(v.result.Findings) + v.result.Omitted }

func (v *verifier) addFinding(f Finding) {
	if len(v.result.Findings) >= v.opts.MaxFindings {
		v.result.Omitted++
		return
	}
	v.result.Findings = append(v.result.Findings, f)
}

// page runs fn in a short transaction. An error of fn or of bbolt is returned as damage; err
// is an error that ends the verification.
func (v *verifier) page(fn func(*pages.Tx) error) (damage, err error) {
	if err := v.store.Usable(v.ctx); err != nil {
		return nil, err
	}
	err = v.store.ReadTx(fn)
	if err == nil || errors.Is(err, eventstore.ErrClosed) {
		return nil, err
	}
	return err, nil
}
