package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// bench is one run of the rows and what the rows share.
type bench struct {
	ctx   context.Context
	dir   string // for all files
	scale scale
	note  func(row, text string)

	files  int
	shared *sharedLog
	grown  *grown
}

// errSkipped means that a row cannot be measured on this machine. It is not a
// failure.
var errSkipped = errors.New("skipped")

// path returns the path of a new file.
func (b *bench) path(name string) string {
	b.files++
	return filepath.Join(b.dir, fmt.Sprintf("%s-%d.db", name, b.files))
}

// smaller notes that a row was measured from less than its definition asks for.
func (b *bench) smaller(row, format string, args ...any) {
	if b.scale.smallerLogs {
		b.note(row, fmt.Sprintf(format, args...))
	}
}

// withStore opens a store with the default options while fn runs.
func withStore(path string, fn func(*boltstore.Store) error) error {
	store, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	return errors.Join(fn(store), store.Close())
}

// withNewStore opens a new store while fn runs, and then removes it.
func (b *bench) withNewStore(fn func(*boltstore.Store) error) error {
	path := b.path("store")
	return errors.Join(withStore(path, fn), os.Remove(path))
}

// sample is a measurement of a row with its baseline, in the row's unit.
type sample struct{ value, baseline float64 }

// ratio returns value over baseline, or 0 without a baseline.
func (s sample) ratio() float64 {
	if s.baseline == 0 {
		return 0
	}
	return s.value / s.baseline
}

// middle returns the sample with the median ratio, the lower of two. There must be
// at least one sample.
func middle(samples []sample) sample {
	sorted := slices.Clone(samples)
	slices.SortFunc(sorted, func(a, b sample) int {
		switch {
		case a.ratio() < b.ratio():
			return -1
		case a.ratio() > b.ratio():
			return 1
		}
		return 0
	})
	return sorted[(len(sorted)-1)/2]
}

// meter measures something once.
type meter func() (float64, error)

// beside measures a row and its baseline in turn and returns the median round. A
// disk changes during a run: its caches fill, and blocks are new or reused. So each
// measurement of the row is compared with the baselines right before and right after
// it.
func (b *bench) beside(row, baseline meter) (sample, error) {
	before, err := baseline()
	if err != nil {
		return sample{}, fmt.Errorf("baseline: %w", err)
	}
	samples := make([]sample, b.scale.rounds)
	for i := range samples {
		value, err := row()
		if err != nil {
			return sample{}, err
		}
		after, err := baseline()
		if err != nil {
			return sample{}, fmt.Errorf("baseline: %w", err)
		}
		samples[i] = sample{value, (before + after) / 2}
		before = after
	}
	return middle(samples), nil
}

// rounds calls measure, which measures row and baseline, and returns the median
// round.
func (b *bench) rounds(n int, measure func() (sample, error)) (sample, error) {
	samples := make([]sample, n)
	for i := range samples {
		var err error
		if samples[i], err = measure(); err != nil {
			return sample{}, err
		}
	}
	return middle(samples), nil
}

// repeated calls do for at least a window and returns the sum of its counts per
// second.
func repeated(window time.Duration, do func() (int, error)) (float64, error) {
	begin, done := time.Now(), 0
	for {
		n, err := do()
		if err != nil {
			return 0, err
		}
		done += n
		if elapsed := time.Since(begin); elapsed >= window {
			return float64(done) / elapsed.Seconds(), nil
		}
	}
}

// percentile returns the p-th quantile of the times, with p between 0 and 1. It
// sorts times, which must not be empty.
func percentile(times []time.Duration, p float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(p*float64(len(times))))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
