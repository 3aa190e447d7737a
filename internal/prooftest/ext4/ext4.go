//go:build linux

// Package ext4 proves that power losses take nothing under a real file system. The
// store is in an ext4 file system whose blocks are in a file on the recording disk
// of package simfs. The trace is what ext4 writes and flushes, journal included, and
// the images are of its blocks. Each image is mounted, so that ext4 replays its
// journal, and the store's file is then judged as in the proof of power losses.
//
// This checks the simulated disk against a real file system: what the simulator
// counts as durable is durable, and its losses are not milder.
package ext4

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// errNoFileSystem means that ext4 itself did not survive, which is not the store's
// fault.
var errNoFileSystem = errors.New("the file system is lost")

const (
	imagesOfTrace  = 100
	imagesOfMoment = 5
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:   "ext4",
		About:  "power losses under a real ext4 over the recording disk: its journal is replayed, nothing acknowledged is lost",
		Run:    run,
		Replay: replay,
	}
}

func run(ctx context.Context, env *proof.Env) (_ proof.Figures, err error) {
	if err := possible(); err != nil {
		return nil, err
	}
	mounted, err := simfs.Mount(env.Scratch)
	if errors.Is(err, simfs.ErrUnavailable) {
		return nil, &proof.Skip{Reason: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mounted.Close()) }()
	s, err := newSearch(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.verifier.Close()) }()
	err = s.run(ctx, mounted)
	return proof.Figures{
		{Name: "images", Value: s.images}, {Name: "lost", Value: s.lost}, {Name: "workloads", Value: s.workloads},
		{Name: "block_writes", Value: s.writes}, {Name: "flushes", Value: s.flushes}, {Name: "file_system_lost", Value: s.noFileSystem},
	}, err
}

// possible returns a Skip if the proof cannot be tried.
func possible() error {
	if os.Getuid() != 0 {
		return &proof.Skip{Reason: "only root may mount"}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return &proof.Skip{Reason: "no loop devices: " + err.Error()}
	}
	for _, name := range []string{"mkfs.ext4", "mount", "umount", "ln"} {
		if _, err := exec.LookPath(name); err != nil {
			return &proof.Skip{Reason: err.Error()}
		}
	}
	return nil
}

// search tries workloads until enough images were tried, or one was wrong.
type search struct {
	env      *proof.Env
	verifier *workload.Verifier
	random   *rand.Rand
	lie      simfs.Lie
	mountAt  string

	images, lost, workloads, writes, flushes, noFileSystem int
}

func newSearch(ctx context.Context, env *proof.Env) (*search, error) {
	verifier, err := workload.NewVerifier(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &search{
		env: env, verifier: verifier, random: env.Rand(0), lie: simfs.Lie(os.Getenv("YORE_PROOF_LIE")),
		mountAt: filepath.Join(env.Scratch, "mounted"),
	}
	return s, os.Mkdir(s.mountAt, 0o700)
}

func (s *search) run(ctx context.Context, mounted *simfs.Mounted) error {
	wanted := s.env.Scale(300, 10_000)
	if n, err := strconv.Atoi(os.Getenv("YORE_PROOF_IMAGES")); err == nil {
		wanted = n
	}
	base, err := makeFileSystem(ctx, s.env)
	if err != nil {
		return err
	}
	scenarios := workload.Scenarios()
	for s.images < wanted {
		scenario := scenarios[s.random.IntN(len(scenarios))]
		if scenario.Large || scenario.Room {
			continue
		}
		p := workload.Params{Seed: s.random.Uint64()}
		t, err := trace(ctx, s.env, mounted, base, s.workloads, scenario.Name, p)
		if err != nil {
			return err
		}
		s.workloads++
		s.count(t)
		if t, err = t.Told(s.lie); err != nil {
			return err
		}
		if err := s.explore(t, scenario.Name, p, min(imagesOfTrace, wanted-s.images)); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) count(t simfs.Trace) {
	for _, op := range t.Ops {
		switch op.Kind {
		case simfs.Write:
			s.writes++
		case simfs.Sync:
			s.flushes++
		}
	}
}

// explore tries images of a trace at some moments. Mounting an image is slow, so it
// does not try every moment. Most are before a flush, when most writes are pending.
func (s *search) explore(t simfs.Trace, scenario string, p workload.Params, images int) error {
	marks := t.Marks()
	if err := s.verifier.Begin(p, marks); err != nil {
		return err
	}
	for end := s.images + images; s.images < end; {
		at := s.moment(t)
		until := simfs.Trace{Base: t.Base, Ops: t.Ops[:at]}
		o := simfs.ExploreOptions{Seed: s.random.Uint64(), Budget: imagesOfMoment, From: at}
		_, err := simfs.Explore(until, o, func(image simfs.Image) error {
			return s.try(image, kept{Scenario: scenario, Params: p, Marks: marks[:image.Marks], Moment: at, How: image.How})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// moment returns the number of operations of the trace before a power loss.
func (s *search) moment(t simfs.Trace) int {
	at := 1 + s.random.IntN(len(t.Ops))
	if s.random.IntN(4) == 0 {
		return at
	}
	for i := at; i < len(t.Ops); i++ {
		if t.Ops[i].Kind == simfs.Sync {
			return i
		}
	}
	return len(t.Ops)
}

// kept is a case that failed; the file system's blocks are beside it.
type kept struct {
	Scenario string
	Params   workload.Params
	Marks    []string // until the power loss
	Moment   int
	How      string
}

// try mounts an image and judges the store in it.
func (s *search) try(image simfs.Image, k kept) error {
	blocks := image.Disk[imageName]
	found, err := s.mount(blocks)
	if errors.Is(err, errNoFileSystem) && beyond(image.How) {
		s.noFileSystem++
		return nil
	}
	s.images++
	if err == nil {
		_, err = s.verifier.Check(found, len(k.Marks))
	}
	if err == nil {
		return nil
	}
	s.lost++
	err = fmt.Errorf("%s, power loss after operation %d (%.300s): %w", k.Scenario, k.Moment, k.How, err)
	return s.env.Keep(err, k, map[string][]byte{imageName: blocks.Data})
}

// beyond reports whether an image has damage that ext4 does not claim to survive: it
// assumes that a block is written as a whole or not at all. The store claims more,
// so these images are tried too, except if the store's file is gone.
func beyond(how string) bool {
	for _, damage := range []string{"scribbled", "units of 8", "units of 512"} {
		if strings.Contains(how, damage) {
			return true
		}
	}
	return false
}

// mount returns the files of the file system with these blocks.
func (s *search) mount(blocks simfs.File) (found simfs.Disk, err error) {
	dir := filepath.Join(s.env.Scratch, "image")
	if err := (simfs.Disk{imageName: blocks}).WriteTo(dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = withMounted(filepath.Join(dir, imageName), s.mountAt, func() error {
		found, err = files(s.mountAt)
		return err
	})
	return found, err
}

// replay tries the blocks of a kept case again.
func replay(ctx context.Context, env *proof.Env, raw json.RawMessage, dir string) (err error) {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, imageName))
	if err != nil {
		return err
	}
	s, err := newSearch(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.verifier.Close()) }()
	if err := s.verifier.Begin(k.Params, k.Marks); err != nil {
		return err
	}
	found, err := s.mount(simfs.File{Size: imageSize, Data: data})
	if err == nil {
		_, err = s.verifier.Check(found, len(k.Marks))
	}
	return err
}
