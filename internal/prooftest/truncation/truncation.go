// Package truncation proves that a file that was cut short, or is not a log at all,
// gives a clear error: no panic, no wait, no new log in its place.
package truncation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const childName = "open-truncated"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "truncation",
		About:    "cut a log at every page and one byte beside, and open all sorts of files that are no log: a clear error, or all that the log held",
		Run:      run,
		Replay:   replay,
		Children: map[string]proof.Child{childName: child, holderName: hold},
	}
}

// Case is one file and how it is opened.
type Case struct {
	Size     int64  // the size to which the log is cut,
	Garbage  string // or the row of the garbage table that is opened instead
	ReadOnly bool
}

func (c Case) String() string {
	what := fmt.Sprintf("a log cut to %d bytes", c.Size)
	if c.Garbage != "" {
		what = c.Garbage
	}
	if c.ReadOnly {
		return what + ", read-only"
	}
	return what
}

// Result is the result of a case.
type Result struct {
	Problem string // "" if nothing is wrong
	Skipped string // why it could not be tried
	Error   string // the error of Open
}

// keptFailures is the most failing cuts that are kept.
const keptFailures = 10

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	dir := filepath.Join(env.Scratch, "sample")
	known, err := sample.New(ctx, env.Scratch, dir, sample.Build{Seed: env.Seed, Indexed: true})
	if err != nil {
		return nil, err
	}
	var figures proof.Figures
	var errs []error
	cut, refused, garbage, skipped, problems := 0, 0, 0, 0, 0
	err = trial.Each(ctx, env, plan(env, dir), makeCases(known), func(c Case, r Result, died *trial.Died) error {
		switch {
		case died != nil:
			r.Problem = died.Error()
		case r.Skipped != "":
			skipped++
			env.Progress("%v: skipped: %s", c, r.Skipped)
		case c.Garbage != "":
			garbage++
			if !c.ReadOnly {
				env.Progress("%v: %s", c, r.Error)
			}
		default:
			cut++
			if r.Error != "" {
				refused++
			}
		}
		if r.Problem == "" {
			return nil
		}
		if problems++; problems > keptFailures && c.Garbage == "" {
			return nil
		}
		files, err := sample.Files(dir)
		errs = append(errs, env.Keep(fmt.Errorf("%v: %.2000s", c, r.Problem), c, files))
		return err
	})
	figures.Add("file_bytes", known.Used)
	figures.Add("cut_files", cut)
	figures.Add("refused", refused)
	figures.Add("whole", cut-refused)
	figures.Add("garbage_files", garbage)
	figures.Add("skipped", skipped)
	figures.Add("problems", problems)
	return figures, errors.Join(append([]error{err}, errs...)...)
}

// makeCases cuts at every page and beside it, and at several places in the unused
// end of the file, and takes every row of the garbage table.
func makeCases(known *sample.Sample) []Case {
	page := int64(os.Getpagesize())
	var sizes []int64
	for at := int64(0); at <= int64(known.Used)+2*page; at += page {
		sizes = append(sizes, at-1, at, at+1)
	}
	for at := int64(known.Used) + 3*page; at < known.Size; at += known.Size / 16 {
		sizes = append(sizes, at, at+1)
	}
	sizes = append(sizes, known.Size-page, known.Size-1, known.Size)
	var cases []Case
	for _, readOnly := range []bool{false, true} {
		for _, size := range sizes {
			if size >= 0 && size <= known.Size {
				cases = append(cases, Case{Size: size, ReadOnly: readOnly})
			}
		}
		for _, g := range garbageTable() {
			cases = append(cases, Case{Garbage: g.name, ReadOnly: readOnly})
		}
	}
	return cases
}

func plan(env *proof.Env, dir string) trial.Plan {
	return trial.Plan{
		Child: childName, Workers: 2, Timeout: 30 * time.Second, Memory: 512 << 20,
		Args: func(worker int) ([]string, error) {
			scratch := filepath.Join(env.Scratch, fmt.Sprint("worker-", worker))
			return []string{dir, scratch}, os.MkdirAll(scratch, 0o700)
		},
	}
}

func child(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: DIRECTORY-OF-SAMPLE SCRATCH")
	}
	known, content, err := sample.Load(args[0])
	if err != nil {
		return err
	}
	t := &tester{known: known, content: content, path: filepath.Join(args[1], "log.yore")}
	return trial.Serve(ctx, t.try)
}

// tester runs cases on a path.
type tester struct {
	known   *sample.Sample
	content []byte
	path    string
	undo    []func() // ends what a case has begun
}

// after calls do after the case.
func (t *tester) after(do func()) { t.undo = append(t.undo, do) }

func (t *tester) try(ctx context.Context, c Case) Result {
	before, err := descriptors()
	if err != nil {
		return Result{Problem: err.Error()}
	}
	var r Result
	if c.Garbage != "" {
		r = t.tryGarbage(ctx, c)
	} else {
		r = t.tryCut(ctx, c)
	}
	if after, err := descriptors(); err != nil || len(after) > len(before) {
		r.Problem += fmt.Sprintf("; %d descriptors before, %d after: %v", len(before), len(after), errors.Join(err))
	}
	return r
}

// tryCut opens a log that was cut short.
func (t *tester) tryCut(ctx context.Context, c Case) Result {
	if err := sample.Write(t.path, t.content[:min(c.Size, int64(len(t.content)))], c.Size); err != nil {
		return Result{Problem: err.Error()}
	}
	o := t.known.Examine(ctx, t.path, sample.How{ReadOnly: c.ReadOnly, Note: trial.Note})
	var r Result
	switch {
	case o.Class == sample.Detected && o.By == "open":
		r.Error = o.Detail
		r.Problem = t.unchanged(c)
	case o.Class != sample.Harmless:
		r.Problem = o.String()
	case c.Size < int64(t.known.Used):
		r.Problem = "the store answers everything though used pages are missing"
	}
	return t.lockIsFree(r)
}

// unchanged describes how Open has changed a file that it refused.
func (t *tester) unchanged(c Case) string {
	content, err := os.ReadFile(t.path)
	if err != nil {
		return err.Error()
	}
	want := t.content[:min(c.Size, int64(len(t.content)))]
	if int64(len(content)) != c.Size || !slices.Equal(content[:len(want)], want) {
		return fmt.Sprintf("the file was refused and yet changed: %d bytes instead of %d", len(content), c.Size)
	}
	return ""
}

// lockIsFree opens a good log in the same place: in the same file, which finds a
// lock that was left behind, and in a new file.
func (t *tester) lockIsFree(r Result) Result {
	options := &boltstore.Options{LockTimeout: 50 * time.Millisecond}
	if err := errors.Join(os.WriteFile(t.path, t.content, 0o600), os.Truncate(t.path, t.known.Size)); err != nil {
		r.Problem += "; " + err.Error()
		return r
	}
	store, err := boltstore.Open(t.path, options)
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		r.Problem += "; a good log in the same file afterwards: " + err.Error()
	}
	return r
}

// descriptors returns the open files of the process.
func descriptors() ([]string, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // not on this system
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil {
			open = append(open, target)
		}
	}
	return open, err
}

func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) error {
	var c Case
	if err := json.Unmarshal(kept, &c); err != nil {
		return err
	}
	return trial.Each(ctx, env, plan(env, dir), []Case{c}, func(c Case, r Result, died *trial.Died) error {
		env.Progress("%v: %s", c, r.Error)
		switch {
		case died != nil:
			return died
		case r.Problem != "":
			return errors.New(r.Problem)
		}
		return nil
	})
}
