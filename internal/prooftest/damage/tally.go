package damage

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

// Tally counts the results of cases, and keeps the first failing case of each kind of
// failure.
type Tally struct {
	env   *proof.Env
	dir   string                   // of the samples
	pages map[string][]layout.Page // of each sample

	tried, died, failed int
	classes             map[sample.Class]int
	by                  map[string]int // what detected damage
	calls, refused      int
	late                int
	worse               int             // an append made noticed damage worse
	kinds               map[string]int  // failing calls
	bad                 map[string]int  // failing cases by damage and place
	seen                map[string]bool // a case of this kind of failure, damage and place is kept
	errs                []error
}

// NewTally returns the tally of a proof with samples in directories below dir.
func NewTally(env *proof.Env, dir string, pages map[string][]layout.Page) *Tally {
	return &Tally{
		env: env, dir: dir, pages: pages,
		classes: make(map[sample.Class]int), by: make(map[string]int), kinds: make(map[string]int), bad: make(map[string]int), seen: make(map[string]bool),
	}
}

// The most failing cases that are kept, and the most failures after which no more cases
// are tried.
const (
	mostKept     = 40
	mostFailures = 2_000
)

// Count counts the result of a case. It is called by [trial.Each].
func (t *Tally) Count(c Case, o sample.Outcome, died *trial.Died) error {
	t.tried++
	if died != nil {
		t.died++
		method, _, _ := strings.Cut(died.Doing, " ")
		a := sample.Answer{Call: died.Doing, Time: "only", Verdict: sample.Verdict(died.How()), Got: died.Error(), Want: "an answer"}
		o = sample.Outcome{Class: sample.Failed, Kinds: map[string]int{died.How() + ": " + method: 1}, Failures: []sample.Answer{a}}
	}
	t.add(o)
	if o.Class != sample.Failed {
		return nil
	}
	return t.keep(c, o)
}

func (t *Tally) add(o sample.Outcome) {
	t.classes[o.Class]++
	t.calls, t.refused, t.late = t.calls+o.Calls, t.refused+o.Refused, t.late+o.Late
	if o.Worse {
		t.worse++
	}
	if o.Class == sample.Detected {
		t.by[o.By]++
	}
	for kind, n := range o.Kinds {
		t.kinds[kind] += n
	}
}

// keep keeps a failing case, unless there is one of the same kind already.
func (t *Tally) keep(c Case, o sample.Outcome) error {
	role, field := layout.Place(t.pages[c.Sample], c.Edits[0].Offset)
	where := fmt.Sprintf("%s in %s", c.Kind, role)
	t.bad[where]++
	if t.failed++; t.failed == mostFailures {
		return fmt.Errorf("%d cases failed, the others were not tried", t.failed)
	}
	fresh := false
	for kind := range o.Kinds {
		fresh = fresh || !t.seen[kind+where]
		t.seen[kind+where] = true
	}
	if !fresh || len(t.errs) >= mostKept {
		return nil
	}
	files, err := sample.Files(filepath.Join(t.dir, c.Sample))
	if err != nil {
		return err
	}
	failed := fmt.Errorf("%s %s, %s (%s, offset %d, sample %s, read-only %v):\n    %.4000s", c.Kind, c.What, role, field, c.Edits[0].Offset, c.Sample, c.ReadOnly, o)
	t.errs = append(t.errs, t.env.Keep(failed, c, files))
	return nil
}

// Figures returns the figures.
func (t *Tally) Figures() proof.Figures {
	var f proof.Figures
	f.Add("damages", t.tried)
	f.Add("detected", t.classes[sample.Detected])
	f.Add("harmless", t.classes[sample.Harmless])
	f.Add("failed", t.failed)
	f.Add("crashes_and_hangs", t.died)
	f.Add("calls", t.calls)
	f.Add("refused_calls", t.refused)
	f.Add("late_rows_that_verify_finds", t.late)
	f.Add("made_worse_by_an_append", t.worse)
	for _, by := range slices.Sorted(maps.Keys(t.by)) {
		f.Add("detected_by_"+by, t.by[by])
	}
	failing := 0
	for _, n := range t.kinds {
		failing += n
	}
	f.Add("failing_calls", failing)
	return f
}

// Err returns the failures, with the number of failing calls and cases of each kind.
func (t *Tally) Err() error {
	if t.failed == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("of %d damages %d failed; failing calls:", t.tried, t.failed)}
	for _, kind := range byNumber(t.kinds) {
		lines = append(lines, fmt.Sprintf("  %7d %s", t.kinds[kind], kind))
	}
	lines = append(lines, "failing cases, by what was damaged:")
	for _, kind := range byNumber(t.bad) {
		lines = append(lines, fmt.Sprintf("  %7d %s", t.bad[kind], kind))
	}
	return errors.Join(append([]error{errors.New(strings.Join(lines, "\n"))}, t.errs...)...)
}

// byNumber returns the keys, those with the greatest numbers first.
func byNumber(numbers map[string]int) []string {
	return slices.SortedFunc(maps.Keys(numbers), func(a, b string) int {
		if n := numbers[b] - numbers[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
}
