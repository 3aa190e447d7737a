// Package killwindow proves that a power loss is safe even if a process was killed
// between writing a transaction and its sync, and was started again and has
// committed. A transaction that is then only in the page cache, and the one that was built
// on it, must be there as a whole or not at all, and nothing acknowledged may be lost.
//
// The disk (package simfs) holds the sync of a transaction; while it waits, the
// process is killed. The next process finds the file as the page cache has it,
// commits once and closes. Images of power losses since the kill are compared with
// what was acknowledged (package workload).
package killwindow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
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
		Name:   "kill-window",
		About:  "kills between a write and its sync, a restart, a commit, then power losses: nothing is lost",
		Run:    run,
		Replay: workload.ReplayKept,
	}
}

// imagesOfKill is the number of images that are tried for each kill.
const imagesOfKill = 60

// killsVariable is the environment variable for the number of kills.
const killsVariable = "YORE_PROOF_KILLS"

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	kills := env.Scale(100, 2000)
	if n, err := strconv.Atoi(os.Getenv(killsVariable)); err == nil {
		kills = n
	}
	mounted, err := simfs.Mount(env.Scratch)
	if errors.Is(err, simfs.ErrUnavailable) {
		return nil, &proof.Skip{Reason: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	h := &hunt{env: env, mounted: mounted, kills: kills, sites: make(map[simfs.Site]int), classes: make(map[string]int)}
	err = h.run(ctx)
	return h.figures(), errors.Join(err, mounted.Close())
}

// hunt kills processes.
type hunt struct {
	env     *proof.Env
	mounted *simfs.Mounted
	kills   int

	mu       sync.Mutex
	begun    int
	sites    map[simfs.Site]int
	explored simfs.Explored
	classes  map[string]int // of wrong images
	failed   error
}

func (h *hunt) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for range runtime.NumCPU() + 1 {
		workers.Go(func() {
			if err := h.work(ctx); err != nil {
				h.fail(err)
				cancel()
			}
		})
	}
	workers.Wait()
	return h.failed
}

// fail notes the first error. Later errors follow from the cancellation.
func (h *hunt) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed == nil {
		h.failed = err
	}
}

// next returns the number of the next kill, and whether one is needed.
func (h *hunt) next() (int, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun == h.kills {
		return 0, false
	}
	h.begun++
	return h.begun, true
}

func (h *hunt) work(ctx context.Context) (err error) {
	verifier, err := workload.NewVerifier(ctx, h.env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, verifier.Close()) }()
	for {
		number, needed := h.next()
		if !needed {
			return nil
		}
		k := newKill(h, number)
		if err := k.try(ctx, verifier); err != nil {
			return err
		}
	}
}

func (h *hunt) figures() proof.Figures {
	h.mu.Lock()
	defer h.mu.Unlock()
	var f proof.Figures
	killed := 0
	for _, n := range h.sites {
		killed += n
	}
	f.Add("kills", killed)
	for _, site := range simfs.Sites() {
		if h.sites[site] > 0 {
			f.Add("at_"+strings.ReplaceAll(site.String(), " ", "_"), h.sites[site])
		}
	}
	f.Add("images", h.explored.Images)
	f.Add("distinct", h.explored.Distinct)
	f.Add("lost", h.classes[workload.Lost])
	f.Add("unusable", h.classes[workload.Unusable])
	f.Add("extra", h.classes[workload.Extra])
	f.Add("derived_wrong", h.classes[workload.Derived])
	return f
}

// kill is one kill and its consequences.
type kill struct {
	hunt   *hunt
	number int
	random *rand.Rand
	params workload.Params
	mode   workload.Mode
	site   simfs.Site
	after  int // commits before the killed one
	nth    int // which call of the site after these commits
}

// newKill chooses a kill: mostly at the sync of a meta page, of a transaction of
// events, of rows, or of an attached view's; sometimes at the sync of data or of a
// new name, or while opening.
func newKill(h *hunt, number int) *kill {
	r := h.env.Rand(uint64(number))
	k := &kill{hunt: h, number: number, random: r, params: workload.Params{Seed: r.Uint64()}}
	k.mode = workload.Modes()[r.IntN(len(workload.Modes()))]
	k.after, k.nth = r.IntN(30), 1+r.IntN(2)
	switch n := r.IntN(10); {
	case n < 8:
		k.site = simfs.SyncMeta
	case n < 9:
		k.site = simfs.SyncData
	default:
		k.site, k.after, k.nth = simfs.SyncNames, -1, 1
	}
	return k
}

func (k *kill) String() string {
	return fmt.Sprintf("kill %d, %s: %s %d after %d commits", k.number, k.mode, k.site, k.nth, k.after)
}

// try kills a process, starts another one, and explores power losses.
func (k *kill) try(ctx context.Context, verifier *workload.Verifier) error {
	h := k.hunt
	r, err := h.mounted.NewDisk(fmt.Sprint("kill-", k.number), nil)
	if err != nil {
		return err
	}
	defer r.Discard()
	if err := k.killProcess(ctx, r); err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	from := r.Len()
	if err := k.restart(ctx, r.Dir()); err != nil {
		return fmt.Errorf("%v: the next process: %w", k, err)
	}
	h.mu.Lock()
	h.sites[k.site]++
	h.mu.Unlock()
	return k.explore(r.Trace(), from, verifier)
}

// killProcess starts a process and kills it in the window.
func (k *kill) killProcess(ctx context.Context, r *simfs.Recorder) (err error) {
	segments := workload.NewSegments(ctx, k.hunt.env)
	defer func() { err = errors.Join(err, segments.Close()) }()
	if k.after >= 0 {
		err := errors.Join(segments.Open(r.Dir(), k.params, k.mode).Clean(), segments.Append(k.after).Clean())
		if err != nil {
			return err
		}
	}
	reached, release := r.Block(k.site, k.nth)
	defer release()
	ended := make(chan error, 1)
	go func() {
		if k.after < 0 {
			ended <- segments.Open(r.Dir(), k.params, k.mode).Clean()
		} else {
			ended <- segments.Append(k.nth + 1).Clean()
		}
	}()
	select {
	case <-reached:
	case err := <-ended:
		return errors.Join(errors.New("the call was not made"), err)
	}
	err = segments.Kill()
	release() // the process is gone when its call has returned
	if <-ended == nil {
		return errors.Join(err, errors.New("the process answered after it was killed"))
	}
	return err
}

// restart opens the store again, commits once and closes it.
func (k *kill) restart(ctx context.Context, dir string) error {
	segments := workload.NewSegments(ctx, k.hunt.env)
	return errors.Join(
		segments.Open(dir, k.params, k.mode).Clean(),
		segments.Append(1).Clean(),
		segments.Finish().Clean(),
		segments.Close(),
	)
}

// explore checks images of power losses since the kill.
func (k *kill) explore(trace simfs.Trace, from int, verifier *workload.Verifier) error {
	h := k.hunt
	marks := trace.Marks()
	if err := verifier.Begin(k.params, marks); err != nil {
		return err
	}
	o := workload.Exploration(k.random.Uint64(), imagesOfKill)
	o.From = from
	explored, err := simfs.Explore(trace, o, func(image simfs.Image) error {
		_, err := verifier.Check(image.Disk, image.Marks)
		var wrong *workload.Wrong
		if !errors.As(err, &wrong) {
			return err
		}
		h.mu.Lock()
		h.classes[wrong.Class]++
		h.mu.Unlock()
		return workload.KeepImage(h.env, k.String(), k.params, marks[:image.Marks], image, wrong)
	})
	h.mu.Lock()
	h.explored.Add(explored)
	h.mu.Unlock()
	return err
}
