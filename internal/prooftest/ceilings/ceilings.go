// Package ceilings proves that input made to take much memory or time does not: exports
// with hostile lines, queries and guards with many names, forged backups. Each case runs in
// a process of its own, whose memory is measured by the system, and ends below a ceiling and
// before a deadline, with the right answer.
package ceilings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

const childName = "ceiling"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "ceilings",
		About:    "hostile exports, queries and forged backups: each is answered within a ceiling of memory and a deadline",
		Run:      run,
		Children: map[string]proof.Child{childName: child},
	}
}

// attempt is one case.
type attempt struct {
	name     string
	ceiling  int           // MiB that the process may hold more than before
	deadline time.Duration // for do
	prepare  func(path string) error
	do       func(ctx context.Context, c *place) error
}

// place is what a case works with.
type place struct {
	dir   string // an empty directory
	input string // the file that prepare has made
}

// log returns the path of a log in the directory.
func (p *place) log() string { return filepath.Join(p.dir, "log.yore") }

func attempts() []attempt { return slices.Concat(imports(), queries(), backups()) }

// outcome is the output of a child.
type outcome struct {
	PeakMiB int
	Seconds float64
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	if _, err := resident(); err != nil {
		return nil, &proof.Skip{Reason: "no /proc/self/statm to look at"}
	}
	var mu sync.Mutex
	var errs []error
	most, slowest, done := 0, 0.0, 0
	var workers sync.WaitGroup
	queue := make(chan attempt)
	for range 2 {
		workers.Go(func() {
			for a := range queue {
				o, err := a.try(ctx, env)
				mu.Lock()
				env.Progress("%s: %d MiB of %d, %.2f s", a.name, o.PeakMiB, a.ceiling, o.Seconds)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", a.name, err))
				}
				most, slowest, done = max(most, o.PeakMiB), max(slowest, o.Seconds), done+1
				mu.Unlock()
			}
		})
	}
	only := os.Getenv("YORE_PROOF_CEILINGS") // a part of the names of some cases
	for _, a := range attempts() {
		if ctx.Err() == nil && strings.Contains(a.name, only) {
			queue <- a
		}
	}
	close(queue)
	workers.Wait()
	var figures proof.Figures
	figures.Add("cases", done)
	figures.Add("most_mib", most)
	figures.Add("slowest_seconds", slowest)
	return figures, errors.Join(append(errs, ctx.Err())...)
}

// try prepares the case and runs it in a child.
func (a *attempt) try(ctx context.Context, env *proof.Env) (o outcome, err error) {
	dir, err := os.MkdirTemp(env.Disk, "ceiling-*")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if a.prepare != nil {
		if err := a.prepare(filepath.Join(dir, "input")); err != nil {
			return o, fmt.Errorf("prepare: %w", err)
		}
	}
	const start = 20 * time.Second // for a busy machine to start a process
	limited, cancel := context.WithTimeout(ctx, a.deadline+start)
	defer cancel()
	cmd, err := env.Child(limited, childName, a.name, dir)
	if err != nil {
		return o, err
	}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(set string) bool {
		return strings.HasPrefix(set, "GOMEMLIMIT=") || strings.HasPrefix(set, "GOGC=")
	})
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	switch {
	case limited.Err() != nil && ctx.Err() == nil:
		return o, fmt.Errorf("did not end within %v", a.deadline)
	case err != nil:
		return o, fmt.Errorf("%w: %.300s", err, strings.TrimSpace(said.String()))
	}
	return o, json.Unmarshal(out, &o)
}

// child runs a case and prints its outcome.
func child(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: CASE DIR")
	}
	all := attempts()
	i := slices.IndexFunc(all, func(a attempt) bool { return a.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no case %q", args[0])
	}
	a := all[i]
	dir := filepath.Join(args[1], "work")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.deadline)
	defer cancel()
	w, err := watch(a.ceiling)
	if err != nil {
		return err
	}
	begin := time.Now()
	err = a.do(ctx, &place{dir: dir, input: filepath.Join(args[1], "input")})
	took := time.Since(begin)
	peak, peakErr := w.stop()
	switch {
	case err != nil || peakErr != nil:
		return errors.Join(err, peakErr)
	case took > a.deadline:
		return fmt.Errorf("took %v, at most %v", took, a.deadline)
	}
	return json.NewEncoder(os.Stdout).Encode(outcome{PeakMiB: peak, Seconds: took.Seconds()})
}

// watcher measures the memory of this process beyond what it has at first, and ends the
// process when that is above a ceiling: a broken store may take all memory of the machine.
type watcher struct {
	before, most, ceiling int
	done                  chan struct{}
	ended                 sync.WaitGroup
}

func watch(ceiling int) (*watcher, error) {
	before, err := resident()
	w := &watcher{before: before, most: before, ceiling: ceiling, done: make(chan struct{})}
	w.ended.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-tick.C:
				if now, err := resident(); err == nil {
					w.most = max(w.most, now)
				}
				if held := w.most - w.before; held > w.ceiling {
					fmt.Fprintf(os.Stderr, "it holds %d MiB, at most %d\n", held, w.ceiling)
					os.Exit(1)
				}
			}
		}
	})
	return w, err
}

// stop returns the most that the process has held, in MiB.
func (w *watcher) stop() (peak int, err error) {
	close(w.done)
	w.ended.Wait()
	now, err := resident()
	peak = max(w.most, now) - w.before
	if err == nil && peak > w.ceiling {
		err = fmt.Errorf("it holds %d MiB, at most %d", peak, w.ceiling)
	}
	return peak, err
}

// resident returns the memory of this process in MiB, without the pages of files, which the
// system can take back.
func resident() (int, error) {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(content))
	if len(fields) < 3 {
		return 0, fmt.Errorf("/proc/self/statm says %q", content)
	}
	all, err := strconv.Atoi(fields[1])
	shared, sharedErr := strconv.Atoi(fields[2])
	return (all - shared) * os.Getpagesize() >> 20, errors.Join(err, sharedErr)
}
