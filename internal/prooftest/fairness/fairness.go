// Package fairness proves that the work beside it does not starve an append: commits of
// rows, followers and attached views; and that a pause of the machine does not keep an
// attached view from its readers.
//
// Machines differ, and are shared. So it judges no time by the clock, but only ratios of
// times that were measured in the same run, with ten times what is expected.
package fairness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "fairness",
		About:    "append beside rebuilds, followers and attached views, and pause the process: no append is starved, no view gets a fault",
		Run:      run,
		Children: map[string]proof.Child{childName: child},
	}
}

func run(ctx context.Context, env *proof.Env) (figures proof.Figures, err error) {
	parts := os.Getenv("YORE_PROOF_PARTS") // a mutant needs only one
	for _, part := range []struct {
		name string
		run  func(context.Context, *proof.Env, *proof.Figures) error
	}{{"rebuilds", besideRebuilds}, {"followers", besideFollowers}, {"views", besideViews}, {"pause", paused}} {
		if parts == "" || strings.Contains(parts, part.name) {
			err = errors.Join(err, part.run(ctx, env, &figures))
		}
	}
	return figures, err
}

// besideRebuilds appends beside views that are rebuilt. An append may take ten times
// as long as alone, whatever their number.
func besideRebuilds(ctx context.Context, env *proof.Env, figures *proof.Figures) error {
	const expected = 10
	found, err := measureAll(ctx, env, figures, "rebuilds", rebuilds, 1000, 0, 4, 16, 100)
	if err != nil {
		return err
	}
	for _, n := range []int{4, 16, 100} {
		err = errors.Join(err, atMost(fmt.Sprintf("an append beside %d rebuilds, to one alone", n), found[n], found[0], 10*expected))
	}
	return err
}

// besideFollowers appends beside followers, which are awake after each append. Their cost
// must not grow faster than their number.
func besideFollowers(ctx context.Context, env *proof.Env, figures *proof.Figures) error {
	few, many := 100, env.Scale(1000, 10_000)
	found, err := measureAll(ctx, env, figures, "followers", followers, 1000, 0, few, many)
	if err != nil {
		return err
	}
	return atMost(fmt.Sprintf("an append beside %d followers, to one beside %d", many, few), found[many], found[few], 10*many/few)
}

// besideViews appends beside attached projections. Their cost must not grow faster than
// their number.
func besideViews(ctx context.Context, env *proof.Env, figures *proof.Figures) error {
	few, many := 5, env.Scale(50, 200)
	found, err := measureAll(ctx, env, figures, "views", views, 1000, 0, few, many)
	if err != nil {
		return err
	}
	return atMost(fmt.Sprintf("an append beside %d attached views, to one beside %d", many, few), found[many], found[few], 10*many/few)
}

// measureAll measures appends beside each of the numbers of parts of some work, and adds the
// figures. It returns the medians.
func measureAll(ctx context.Context, env *proof.Env, figures *proof.Figures, name string, work beside, events int, numbers ...int) (map[int]time.Duration, error) {
	while := time.Duration(env.Scale(1, 10)) * time.Second
	found := make(map[int]time.Duration)
	for i, n := range numbers {
		path := filepath.Join(env.Disk, fmt.Sprintf("%s-%d.yore", name, n))
		l, err := measure(ctx, path, events, work, n, while, env.Rand(uint64(i)))
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			return nil, fmt.Errorf("beside %d %s: %w", n, name, err)
		}
		found[n] = l.p50
		figures.Add(fmt.Sprintf("%d_%s_p50_ms", n, name), milliseconds(l.p50))
		figures.Add(fmt.Sprintf("%d_%s_p99_ms", n, name), milliseconds(l.p99))
	}
	return found, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// atMost returns an error if a time is more than factor times another one.
func atMost(what string, found, other time.Duration, factor int) error {
	if found <= time.Duration(factor)*other {
		return nil
	}
	return fmt.Errorf("%s: %v to %v, more than %d times", what, found, other, factor)
}
