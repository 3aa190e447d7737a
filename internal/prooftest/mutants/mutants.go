// Package mutants proves that the proofs can fail: it breaks the store on purpose,
// in one place at a time, and runs the proof that must find the fault. A mutant that
// is not caught fails this proof.
//
// The store has no hooks for that. A mutant is a change of its source text: this
// binary is built again with `go build -overlay`, with the changed file in place of
// the original, and run with a small budget. If the old text is not in the source
// exactly once, the source has changed and the mutant must be changed too; this
// fails the proof. A disk that lies is not a change of the source but an option of
// the proofs' simulator, set in the environment.
package mutants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  "mutants",
		About: "the store is broken on purpose in one place at a time: a proof must find each out",
		Run:   run,
	}
}

// mutant is a store that is broken on purpose, or a disk that lies, and the proof
// that must find the fault.
type mutant struct {
	name   string
	breaks string // what is broken, in a few words; "" for a sound one
	file   string // of the module, "" for none
	edits  []edit
	env    []string // set for the proof
	proof  string
	says   string // part of the proof's output
	sound  bool   // nothing is broken: the proof must not fail
}

// edit replaces a text that the file must have exactly once.
type edit struct{ old, new string }

// Mutant describes a mutant.
type Mutant struct {
	Name   string
	Breaks string // what is broken, in a few words; "" if nothing is, and the proof must not fail
	Proof  string // that must fail
}

// List returns the mutants in the order in which they run.
func List() (list []Mutant) {
	for _, m := range all() {
		list = append(list, Mutant{m.name, m.breaks, m.proof})
	}
	return list
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	chosen, err := choose(os.Getenv("YORE_PROOF_MUTANTS"))
	if err != nil {
		return nil, err
	}
	b, err := newBuilder(ctx, env)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var caught int
	var errs []error
	var workers sync.WaitGroup
	queue := make(chan mutant)
	for range 2 {
		workers.Go(func() {
			for m := range queue {
				start := time.Now()
				said, err := b.try(ctx, m)
				mu.Lock()
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
				} else if !m.sound {
					caught++
					env.Progress("%s: caught by %s in %.1fs: %.150s", m.name, m.proof, time.Since(start).Seconds(), said)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range chosen {
		if ctx.Err() == nil {
			queue <- m
		}
	}
	close(queue)
	workers.Wait()
	broken := slices.DeleteFunc(slices.Clone(chosen), func(m mutant) bool { return m.sound })
	return proof.Figures{{Name: "mutants", Value: len(broken)}, {Name: "caught", Value: caught}}, errors.Join(append(errs, ctx.Err())...)
}

// choose returns the mutants with these names, separated by commas; all for "".
func choose(names string) ([]mutant, error) {
	if names == "" {
		return all(), nil
	}
	var chosen []mutant
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all(), func(m mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no mutant %q", name)
		}
		chosen = append(chosen, all()[i])
	}
	return chosen, nil
}
