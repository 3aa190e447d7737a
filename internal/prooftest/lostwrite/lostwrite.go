// Package lostwrite proves that stale pages are noticed. It records every version of
// every page of a log while the log is written. Then it puts versions back into the
// final file: as if the disk had lost a write, or had put it into another place. Each
// call on such a file must give the right answer or an error of damage; rows may be
// stale only if Verify has a finding.
package lostwrite

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/yore-es/yore/internal/prooftest/damage"
	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const name = "lost-write"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  name,
		About: "put earlier pages, whole transactions and another log's pages back into a log: each call gives the right answer or an error of damage",
		Run:   run,
		Replay: func(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) error {
			return damage.Replay(ctx, env, name, kept, dir)
		},
		Children: map[string]proof.Child{damage.Child(name): damage.Serve},
	}
}

// The samples: with most of the index in the file, and with none of it.
const (
	indexed   = "indexed"
	unindexed = "unindexed"
)

// budgetVariable is the environment variable for the number of cases, which overrides
// the table.
const budgetVariable = "YORE_PROOF_LOST"

// everything is a budget that leaves nothing out.
const everything = 1 << 30

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	budget := env.Scale(700, everything)
	if n, err := strconv.Atoi(os.Getenv(budgetVariable)); err == nil {
		budget = n
	}
	dir := filepath.Join(env.Scratch, "samples")
	pages := make(map[string][]layout.Page)
	var cases []damage.Case
	var figures proof.Figures
	for _, sampleName := range []string{indexed, unindexed} {
		r, err := record(ctx, env, filepath.Join(dir, sampleName), sampleName == indexed)
		if err != nil {
			return nil, err
		}
		m := newMaker(r, sampleName, env.Rand(uint64(len(cases))))
		cases = append(cases, m.cases(budget/2)...)
		pages[sampleName] = r.last().pages
		figures.Add(sampleName+"_transactions", len(r.moments))
		figures.Add(sampleName+"_versions", m.versions)
	}
	t := damage.NewTally(env, dir, pages)
	err := trial.Each(ctx, env, damage.Plan(env, name, dir), cases, t.Count)
	return append(figures, t.Figures()...), errors.Join(err, t.Err())
}
