package boltstore

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// verified is the store that is verified.
type verified struct {
	viewer
	// head returns the highest durable position.
	head func() eventstore.Position
	file *file
	// index returns the index, nil if there is none, and whether the store has
	// stopped using it because it is damaged.
	index func() (x *index.Index, down bool)
}

// verifyOptions say how to verify.
type verifyOptions struct {
	// maxFindings is how many findings are returned at most.
	maxFindings int
	// progress, if not nil, is called with the position through which the log has
	// been checked, and the head, with no transaction open.
	progress func(done, of eventstore.Position)
}

// verification is what was looked at and found. boltstore.Verification describes
// the fields.
type verification struct {
	head                          eventstore.Position
	events, postings, views, rows int
	unsettled                     []eventstore.ViewID
	findings                      []finding
	omitted                       int
}

// finding is one thing that is not as it was written.
type finding struct {
	kind     findingKind
	position eventstore.Position // 0: of no event
	view     eventstore.ViewID   // "": of no view
	problem  string
}

// findingKind says what a finding concerns.
type findingKind string

// The kinds of findings; boltstore documents them under the same names.
const (
	kindDamagedRecord     findingKind = "damaged record"
	kindMissingRecord     findingKind = "missing record"
	kindStrayRecord       findingKind = "stray record"
	kindBrokenCommit      findingKind = "broken commit"
	kindDecreasingTime    findingKind = "decreasing time"
	kindBrokenStream      findingKind = "broken stream"
	kindRepeatedKey       findingKind = "repeated key"
	kindIndexEntry        findingKind = "index entry"
	kindDamagedRow        findingKind = "damaged row"
	kindMissingRow        findingKind = "missing row"
	kindStrayRow          findingKind = "stray row"
	kindDamagedCheckpoint findingKind = "damaged checkpoint"
	kindDamagedPage       findingKind = "damaged page"
	kindMetaPage          findingKind = "meta page"
	kindDescription       findingKind = "description"
	kindStrayBucket       findingKind = "stray bucket"
	kindFile              findingKind = "file"
)

// verify reads all that the file holds up to the head, and returns what is not as
// it was written. The error is what ended the verification before its end.
func verify(ctx context.Context, s verified, opts verifyOptions) (verification, error) {
	v := &verifier{store: s, ctx: ctx, opts: opts}
	v.beginIndex()
	defer v.endIndex()
	v.result.head = s.head() // not before what is on disk of the index
	for _, check := range []func() error{v.checkFile, v.checkBuckets, v.checkStatus, v.checkLog, v.checkIndex, v.checkViews} {
		if err := check(); err != nil {
			return v.result, err
		}
	}
	return v.result, nil
}

// verifier is one run of verify. It is not safe for concurrent use.
type verifier struct {
	store  verified
	ctx    context.Context // of the call that it lives for
	opts   verifyOptions
	result verification

	index   *index.Checker // nil: there is no index that could be checked
	damaged int            // records that could not be read, and so have postings that nobody knows of
}

const verifyEvents = 1024 // events and rows a page

// add notes a finding.
func (v *verifier) add(kind findingKind, p eventstore.Position, problem string, args ...any) {
	v.addFinding(finding{kind: kind, position: p, problem: fmt.Sprintf(problem, args...)})
}

func (v *verifier) addFinding(f finding) {
	if len(v.result.findings) >= v.opts.maxFindings {
		v.result.omitted++
		return
	}
	v.result.findings = append(v.result.findings, f)
}

// page runs fn in a short transaction. Damage that ends it is returned as
// damage; err is what ends the verification.
func (v *verifier) page(fn func(*bolt.Tx) error) (damage, err error) {
	if err := v.store.usable(v.ctx); err != nil {
		return nil, err
	}
	err = v.store.view(fn)
	if err == nil || errors.Is(err, eventstore.ErrClosed) {
		return nil, err
	}
	return err, nil
}
