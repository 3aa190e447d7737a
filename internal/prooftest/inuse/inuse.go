// Package inuse proves that a store survives what other programs do to its open file:
// they truncate it, overwrite it, remove it, rename it or replace it, or its disk is
// gone. Every call then ends, each of them called twice, and Close too, within a time and
// a size of the heap. Each answer is right or an error that a caller can match, and no
// append is acknowledged.
package inuse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

const childName = "damage-in-use"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "in-use",
		About:    "truncate, overwrite, remove or replace the file of an open store, or stop its disk: right answers or clear errors, and every call ends",
		Run:      run,
		Replay:   replay,
		Children: map[string]proof.Child{childName: child},
	}
}

// Case is what happens to the file, and when.
type Case struct {
	Damage string
	// Load lets readers, followers and appenders run meanwhile.
	Load bool
	// AppendFirst lets an append be the first to meet the damage, not a read.
	AppendFirst bool
	Round       int // of cases with Load
}

func (c Case) String() string {
	what := c.Damage
	switch {
	case c.Load:
		what += fmt.Sprint(", under load, round ", c.Round)
	case c.AppendFirst:
		what += ", then an append"
	default:
		what += ", then reads"
	}
	return what
}

// Result is the result of a case.
type Result struct {
	Problem string // "" if nothing is wrong
	Skipped string // why it could not be tried
	Right   int    // answers
	Refused int    // answers that were errors
	Error   string // one of them
}

// The files of a case, beside those of the sample.
const otherFile = "other.yore"

// prepare makes a sample, and another log with the same history.
func prepare(ctx context.Context, env *proof.Env, dir string) error {
	if _, err := sample.New(ctx, env.Scratch, dir, sample.Build{Seed: env.Seed, Indexed: true}); err != nil {
		return err
	}
	_, content, err := sample.Load(dir)
	if err != nil {
		return err
	}
	known, err := pages.Inspect(bytes.NewReader(content), math.MaxInt64)
	if err != nil {
		return err
	}
	path := filepath.Join(env.Scratch, otherFile)
	if _, err := (sample.Build{Seed: env.Seed, Indexed: true}).In(ctx, path); err != nil {
		return err
	}
	if _, err := boltstore.Compact(ctx, path, nil); err != nil { // it has few transactions then
		return err
	}
	// A case appends one commit to the sample. A shorter file would be found by its size.
	return errors.Join(advance(path, known.TxID+1), os.Truncate(path, int64(4*len(content))),
		os.Rename(path, filepath.Join(dir, otherFile)))
}

// advance makes transactions until the last one has an id.
func advance(path string, id uint64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	for {
		at, err := pages.Inspect(file, math.MaxInt64)
		if err != nil || at.TxID == id {
			return err
		}
		if at.TxID > id {
			return fmt.Errorf("another log has %d transactions, the sample has %d", at.TxID, id)
		}
		if err := workload.Amend(path, func(*pages.WriteTx) error { return nil }); err != nil {
			return err
		}
	}
}

// mostRaced is how many cases may end in a commit of bbolt for which the damage came in the
// microseconds between a check and a use (see package pages). One in thousands does.
const mostRaced = 2

// keptFailures is the most failing cases that are kept.
const keptFailures = 10

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	dir := filepath.Join(env.Scratch, "sample")
	if err := prepare(ctx, env, dir); err != nil {
		return nil, err
	}
	var figures proof.Figures
	var errs []error
	cases, right, refused, skipped, raced, problems := 0, 0, 0, 0, 0, 0
	err := trial.Each(ctx, env, plan(env, dir), makeCases(env), func(c Case, r Result, died *trial.Died) error {
		if died != nil {
			r.Problem = died.Error()
		}
		if died != nil && died.Hung { // others would hang too, which takes long
			return env.Keep(fmt.Errorf("%v: %.2000s", c, r.Problem), c, nil)
		}
		if r.Skipped != "" {
			skipped++
			env.Progress("%v: skipped: %s", c, r.Skipped)
			return nil
		}
		cases++
		right, refused = right+r.Right, refused+r.Refused
		if !c.Load {
			env.Progress("%v: %d right, %d refused: %.300s", c, r.Right, r.Refused, r.Error)
		}
		if c.Load && strings.HasPrefix(r.Problem, "crashed") && strings.Contains(r.Problem, endlessFree) {
			if raced++; raced <= mostRaced {
				return nil
			}
		}
		if r.Problem == "" {
			return nil
		}
		if problems++; problems > keptFailures {
			return nil
		}
		files, err := sample.Files(dir)
		errs = append(errs, env.Keep(fmt.Errorf("%v: %.2000s", c, r.Problem), c, files))
		return err
	})
	figures.Add("cases", cases)
	figures.Add("right_answers", right)
	figures.Add("refused", refused)
	figures.Add("skipped", skipped)
	figures.Add("races_within_bbolt", raced)
	figures.Add("problems", problems)
	return figures, errors.Join(append([]error{err}, errs...)...)
}

func makeCases(env *proof.Env) (cases []Case) {
	for _, d := range damages() {
		cases = append(cases, Case{Damage: d.name}, Case{Damage: d.name, AppendFirst: true})
		for round := range env.Scale(2, 40) {
			cases = append(cases, Case{Damage: d.name, Load: true, Round: round})
		}
	}
	return cases
}

func plan(env *proof.Env, dir string) trial.Plan {
	return trial.Plan{
		Child: childName, Workers: 2, Timeout: 15 * time.Second,
		Args: func(worker int) ([]string, error) {
			scratch := filepath.Join(env.Scratch, fmt.Sprint("worker-", worker))
			onDisk := filepath.Join(env.Disk, fmt.Sprint("worker-", worker))
			return []string{dir, scratch, onDisk}, errors.Join(os.MkdirAll(scratch, 0o700), os.MkdirAll(onDisk, 0o700))
		},
	}
}

func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, _ string) error {
	var c Case
	if err := json.Unmarshal(kept, &c); err != nil {
		return err
	}
	dir := filepath.Join(env.Scratch, "sample")
	if err := prepare(ctx, env, dir); err != nil {
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
