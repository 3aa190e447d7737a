package verify

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// Store is the store that is verified.
type Store struct {
	logfile.Access
	// Head returns the highest durable position.
	Head func() eventstore.Position
	File *logfile.File
	// Index returns the index, nil if there is none, and whether the store has
	// stopped using it because it is damaged.
	Index func() (x *index.Index, down bool)
}

// Options say how to verify.
type Options struct {
	// MaxFindings is how many findings are returned at most.
	MaxFindings int
	// Progress, if not nil, is called with the position through which the log has
	// been checked, and the head, with no transaction open.
	Progress func(done, total eventstore.Position)
}

// Result is what was looked at and found. boltstore.VerifyReport describes
// the fields.
type Result struct {
	Head                          eventstore.Position
	Events, Postings, Views, Rows int
	Unsettled                     []eventstore.ViewID
	Findings                      []Finding
	Omitted                       int
}

// Finding is one thing that is not as it was written.
type Finding struct {
	Kind     Kind
	Position eventstore.Position // 0: of no event
	View     eventstore.ViewID   // "": of no view
	Problem  string
}

// Kind says what a finding concerns.
type Kind string

// The kinds of findings; boltstore documents them under the same names.
const (
	DamagedRecord     Kind = "damaged record"
	MissingRecord     Kind = "missing record"
	StrayRecord       Kind = "stray record"
	BrokenCommit      Kind = "broken commit"
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

// Run reads all that the file holds up to the head, and returns what is not as
// it was written. The error is what ended the verification before its end.
func Run(ctx context.Context, s Store, opts Options) (Result, error) {
	v := &verifier{store: s, ctx: ctx, opts: opts}
	v.beginIndex()
	defer v.endIndex()
	v.result.Head = s.Head() // not before what is on disk of the index
	for _, check := range []func() error{v.checkFile, v.checkBuckets, v.checkStatus, v.checkLog, v.checkIndex, v.checkViews} {
		if err := check(); err != nil {
			return v.result, err
		}
	}
	return v.result, nil
}

// verifier is one run of verify. It is not safe for concurrent use.
type verifier struct {
	store  Store
	ctx    context.Context // of the call that it lives for
	opts   Options
	result Result

	index   *index.Checker // nil: there is no index that could be checked
	damaged int            // records that could not be read, and so have postings that nobody knows of
}

const verifyEvents = 1024 // events and rows a page

// add notes a finding.
func (v *verifier) add(kind Kind, p eventstore.Position, problem string, args ...any) {
	v.addFinding(Finding{Kind: kind, Position: p, Problem: fmt.Sprintf(problem, args...)})
}

func (v *verifier) addFinding(f Finding) {
	if len(v.result.Findings) >= v.opts.MaxFindings {
		v.result.Omitted++
		return
	}
	v.result.Findings = append(v.result.Findings, f)
}

// page runs fn in a short transaction. Damage that ends it is returned as
// damage; err is what ends the verification.
func (v *verifier) page(fn func(*bolt.Tx) error) (damage, err error) {
	if err := v.store.Usable(v.ctx); err != nil {
		return nil, err
	}
	err = v.store.ReadTx(fn)
	if err == nil || errors.Is(err, eventstore.ErrClosed) {
		return nil, err
	}
	return err, nil
}
