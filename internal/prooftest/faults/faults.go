// Package faults proves that a disk that fails at any call loses nothing that was
// acknowledged, neither at once nor in a later power loss.
//
// For each commit of a run of appends, every call to the disk fails once, in a run
// of its own that begins on the disk as it was just before. The application
// continues as applications do: it tries again, and if the outcome is unknown, it
// reopens the store and sends the commit again. Then the power is lost (package
// simfs), and what is left is compared with what was acknowledged (package
// workload). Creating and opening a store is tried in the same way.
package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:   "faults",
		About:  "every call to the disk fails once, then power losses: nothing is lost, and appending goes on",
		Run:    run,
		Replay: workload.ReplayKept,
	}
}

// appends is the number of commits of the run.
const appends = 150

// The number of images that are tried after a fault: few where the newest
// transaction cannot be in doubt.
const (
	imagesOfDataWrite = 6
	imagesOfCase      = 24
)

// The environment variables that change what is tried.
const (
	casesVariable  = "YORE_PROOF_SITES"  // how many cases, evenly chosen, instead of all
	sourceVariable = "YORE_PROOF_SOURCE" // fuse or strace; without it, the first available
)

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	s := &sweep{env: env, params: workload.Params{Seed: env.Seed}, sites: make(map[simfs.Site]int), classes: make(map[string]int)}
	if err := s.mount(); err != nil {
		return nil, err
	}
	err := s.run(ctx)
	if s.mounted != nil {
		err = errors.Join(err, s.mounted.Close())
	}
	return s.figures(), err
}

// sweep tries all cases.
type sweep struct {
	env     *proof.Env
	mounted *simfs.Mounted // nil: strace makes calls fail
	params  workload.Params

	mu       sync.Mutex
	cases    int
	runs     int // under strace
	sites    map[simfs.Site]int
	unknown  int
	explored simfs.Explored
	classes  map[string]int // of wrong images
	failed   error
}

// mount mounts the disks, unless FUSE is missing.
func (s *sweep) mount() (err error) {
	if os.Getenv(sourceVariable) == "strace" {
		return nil
	}
	s.mounted, err = simfs.Mount(s.env.Scratch)
	if errors.Is(err, simfs.ErrUnavailable) && os.Getenv(sourceVariable) != "fuse" {
		s.env.Progress("%v; strace makes calls fail instead", err)
		return nil
	}
	return err
}

func (s *sweep) run(ctx context.Context) error {
	plan := s.plan
	if s.mounted == nil {
		plan = planStrace
	}
	all, err := plan(ctx)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(os.Getenv(casesVariable)); err == nil && n < len(all) {
		all = evenly(all, n)
	}
	todo := make(chan testCase)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for range runtime.NumCPU() + 1 {
		workers.Go(func() {
			if err := s.work(ctx, todo); err != nil {
				s.fail(err)
				cancel()
			}
		})
	}
feed:
	for _, c := range all {
		select {
		case todo <- c:
		case <-ctx.Done():
			break feed
		}
	}
	close(todo)
	workers.Wait()
	return s.failed
}

// fail notes the first error. Later errors follow from the cancellation.
func (s *sweep) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

func evenly(all []testCase, n int) []testCase {
	picked := make([]testCase, 0, n)
	for i := range n {
		picked = append(picked, all[i*len(all)/n])
	}
	return picked
}

func (s *sweep) work(ctx context.Context, todo <-chan testCase) (err error) {
	w := &worker{sweep: s, segments: workload.NewSegments(ctx, s.env)}
	if w.verifier, err = workload.NewVerifier(ctx, s.env); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.segments.Close(), w.verifier.Close()) }()
	for c := range todo {
		try := func() error { return w.try(c) }
		if c.inject != "" {
			try = func() error { return w.tryStrace(ctx, c) }
		}
		if err := try(); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweep) figures() proof.Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f proof.Figures
	f.Add("faults", s.cases)
	for _, site := range simfs.Sites() {
		if s.sites[site] > 0 {
			f.Add(strings.ReplaceAll(site.String(), " ", "_"), s.sites[site])
		}
	}
	f.Add("unknown_outcomes", s.unknown)
	f.Add("images", s.explored.Images)
	f.Add("distinct", s.explored.Distinct)
	f.Add("lost", s.classes[workload.Lost])
	f.Add("unusable", s.classes[workload.Unusable])
	f.Add("extra", s.classes[workload.Extra])
	f.Add("derived_wrong", s.classes[workload.Derived])
	f.Add("source", map[bool]string{true: "fuse", false: "strace"}[s.mounted != nil])
	return f
}

// faultsOf returns the faults that a call of a site can have.
func faultsOf(site simfs.Site, nth int) []simfs.Fault {
	fail := func(err syscall.Errno, short bool) simfs.Fault {
		return simfs.Fault{At: site, Nth: nth, Err: err, Short: short}
	}
	switch site {
	case simfs.WriteData, simfs.WriteMeta:
		return []simfs.Fault{fail(syscall.EIO, false), fail(syscall.ENOSPC, false), fail(syscall.ENOSPC, true)}
	case simfs.SetSize, simfs.CreateName, simfs.LinkName, simfs.RenameName:
		return []simfs.Fault{fail(syscall.ENOSPC, false), fail(syscall.EIO, false)}
	default:
		return []simfs.Fault{fail(syscall.EIO, false)}
	}
}

// testCase is one fault.
type testCase struct {
	mode   workload.Mode
	commit int // the commit whose call fails, or a constant below
	base   simfs.Disk
	marks  []string // of the disk's content
	fault  simfs.Fault
	inject string // instead, in strace's syntax
}

// Values of commit for cases that are not about a commit.
const (
	opening    = 0
	compacting = -1
)

func (c testCase) String() string {
	if c.inject != "" {
		return fmt.Sprintf("strace, %s, %s", c.mode, c.inject)
	}
	switch c.commit {
	case opening:
		return fmt.Sprintf("opening a store with %d files, %s, %v", len(c.base), c.mode, c.fault)
	case compacting:
		return fmt.Sprintf("compacting, %s, %v", c.mode, c.fault)
	}
	return fmt.Sprintf("commit %d, %s, %v", c.commit, c.mode, c.fault)
}
