// Package powerloss proves that a power loss, at any moment and whatever the disk
// had not made durable, takes nothing that was acknowledged, keeps nothing that was
// refused, and leaves a usable store.
//
// Workloads run on a recording disk (package simfs). From their traces come images
// of the disk after a power loss. Each image is opened, compared with what was
// acknowledged by then, appended to and reopened (package workload). A new workload
// begins on an image that was found good: crash after crash.
package powerloss

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "power-loss",
		About:    "power losses at every moment: nothing acknowledged is lost, nothing refused is there, the store is usable",
		Run:      run,
		Replay:   workload.ReplayKept,
		Children: workload.Children(),
	}
}

// generations is the number of workloads in a chain. Each begins on what a power
// loss has left of the one before.
const generations = 3

// imagesOfTrace is the number of images that are tried for a trace. It is smaller if
// there are few images in all, so that they are of several traces.
const imagesOfTrace = 1200

// largeDisk is the size of a disk's files in bytes, without holes, above which fewer
// images are tried in proportion, since they take longer.
const largeDisk = 2 << 20

// The environment variables by which other proofs make this one cheap, or make it
// fail.
const (
	imagesVariable    = "YORE_PROOF_IMAGES"    // number of images
	scenariosVariable = "YORE_PROOF_SCENARIOS" // only these, separated by commas
	lieVariable       = "YORE_PROOF_LIE"       // the syncs that do nothing: data, meta, all, dir
)

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	target := env.Scale(50_000, 1_000_000)
	if n, err := strconv.Atoi(os.Getenv(imagesVariable)); err == nil {
		target = n
	}
	source, err := newSource(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &search{
		env: env, source: source, lie: simfs.Lie(os.Getenv(lieVariable)),
		target: target, classes: make(map[string]int),
	}
	err = s.run(ctx)
	figures := s.figures()
	if err == nil && s.explored.Distinct < target {
		err = fmt.Errorf("only %d of %d images were explored", s.explored.Distinct, target)
	}
	return figures, errors.Join(err, source.close())
}

// search tries chains of workloads until enough images were explored, or one was
// wrong.
type search struct {
	env    *proof.Env
	source source
	lie    simfs.Lie
	target int

	mu       sync.Mutex
	visited  int // images, also of traces that are being explored
	chains   int // begun
	traces   int
	ops      int
	acked    int // commits
	explored simfs.Explored
	classes  map[string]int // of wrong images
	failed   error
}

func (s *search) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for range runtime.NumCPU() + 1 { // while one waits for a verifier, another one makes images
		workers.Go(func() {
			if err := s.work(ctx); err != nil {
				s.fail(err)
				cancel()
			}
		})
	}
	workers.Wait()
	return s.failed
}

// fail notes the first error. Later errors follow from the cancellation.
func (s *search) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// errEnough ends an exploration when there are enough images.
var errEnough = errors.New("enough images")

// visit counts an image, and returns errEnough if there are enough.
func (s *search) visit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repeated := s.explored.Images - s.explored.Distinct; s.visited-repeated >= s.target {
		return errEnough
	}
	s.visited++
	return nil
}

// next returns the number of the next chain, and whether one is needed.
func (s *search) next() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chains++
	return s.chains - 1, s.explored.Distinct < s.target
}

func (s *search) work(ctx context.Context) (err error) {
	verifier, err := workload.NewVerifier(ctx, s.env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, verifier.Close()) }()
	for {
		number, needed := s.next()
		if !needed {
			return nil
		}
		c := &chain{search: s, verifier: verifier, number: number, random: s.env.Rand(uint64(number))}
		if err := c.run(ctx); err != nil {
			return err
		}
	}
}

func (s *search) count(wrong *workload.Wrong) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes[wrong.Class]++
}

func (s *search) figures() proof.Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f proof.Figures
	f.Add("images", s.explored.Images)
	f.Add("distinct", s.explored.Distinct)
	f.Add("lost", s.classes[workload.Lost])
	f.Add("unusable", s.classes[workload.Unusable])
	f.Add("extra", s.classes[workload.Extra])
	f.Add("derived_wrong", s.classes[workload.Derived])
	f.Add("moments", s.explored.Moments)
	f.Add("operations", s.ops)
	f.Add("workloads", s.traces)
	f.Add("commits", s.acked)
	f.Add("source", s.source.name())
	return f
}

// chain is a sequence of workloads. Each begins on what a power loss has left of the
// one before.
type chain struct {
	search   *search
	verifier *workload.Verifier
	number   int
	random   *rand.Rand

	base  simfs.Disk
	found []string // marks of its content
}

func (c *chain) run(ctx context.Context) error {
	scenarios := chosenScenarios()
	scenario := scenarios[c.number%len(scenarios)]
	params := workload.Params{Seed: c.random.Uint64(), Large: scenario.Large}
	for generation := range generations {
		name := fmt.Sprintf("chain-%d-%d", c.number, generation)
		trace, err := c.search.source.run(ctx, name, scenario.Name, params, c.base)
		if err != nil {
			return fmt.Errorf("chain %d, generation %d: %w", c.number, generation, err)
		}
		switch err := c.explore(trace, scenario.Name, params); {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return err
		}
		scenario = scenarios[c.random.IntN(len(scenarios))]
	}
	return nil
}

// chosenScenarios returns the scenarios that the environment names, or all.
func chosenScenarios() []workload.Scenario {
	all := workload.Scenarios()
	names := strings.Split(os.Getenv(scenariosVariable), ",")
	chosen := slices.DeleteFunc(slices.Clone(all), func(s workload.Scenario) bool { return !slices.Contains(names, s.Name) })
	if len(chosen) == 0 {
		return all
	}
	return chosen
}

// explore checks images of a trace and keeps one to continue on.
func (c *chain) explore(trace simfs.Trace, scenario string, params workload.Params) error {
	s := c.search
	told, err := trace.Told(s.lie)
	if err != nil {
		return err
	}
	before := c.found
	marks := append(append([]string{}, before...), trace.Marks()...)
	if err := c.verifier.Begin(params, marks); err != nil {
		return err
	}
	images := 0
	budget := min(imagesOfTrace, max(100, s.target/40))
	if size := trace.Durable(len(trace.Ops)).Bytes(); size > largeDisk {
		budget = 1 + budget*largeDisk/size
	}
	o := workload.Exploration(c.random.Uint64(), budget)
	explored, err := simfs.Explore(told, o, func(image simfs.Image) error {
		if err := s.visit(); err != nil {
			return err
		}
		known := len(before) + image.Marks
		found, err := c.verifier.Check(image.Disk, known)
		var wrong *workload.Wrong
		if errors.As(err, &wrong) {
			s.count(wrong)
			return workload.KeepImage(s.env, scenario, params, marks[:known], image, wrong)
		}
		if err != nil {
			return err
		}
		if images++; c.random.IntN(images) == 0 {
			c.base, c.found = image.Disk, found
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.explored.Add(explored)
	s.traces++
	s.ops += len(trace.Ops)
	for _, mark := range trace.Marks() {
		if strings.HasPrefix(mark, "acked") {
			s.acked++
		}
	}
	return err
}
