// Package bitflip proves that damaged bytes are noticed. It changes bits, bytes and
// sectors of a log, and compares the answers of the store with the known content.
package bitflip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const childName = "examine-damaged"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "bit-flips",
		About:    "flip bits, overwrite bytes, zero sectors and misplace pages of a log: nothing wrong is returned, nothing missing goes unnoticed",
		Run:      run,
		Replay:   replay,
		Children: map[string]proof.Child{childName: child},
	}
}

// Case is one damage.
type Case struct {
	Kind     string // of damage
	Edits    []Edit
	ReadOnly bool // how the file is opened
}

// Edit puts bytes at an offset of the file.
type Edit struct {
	Offset int
	Bytes  []byte
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	dir := filepath.Join(env.Scratch, "sample")
	known, err := sample.New(ctx, env.Scratch, dir, env.Seed)
	if err != nil {
		return nil, err
	}
	_, content, err := sample.Load(dir)
	if err != nil {
		return nil, err
	}
	pages, err := layout(content)
	if err != nil {
		return nil, err
	}
	t := &tally{env: env, dir: dir, pages: pages, classes: make(map[sample.Class]int), by: make(map[string]int), bad: make(map[string]int)}
	heads := packHeads(content, pages)
	if len(heads) == 0 {
		return nil, errors.New("the log has no packs; nothing is proved of them")
	}
	cases := makeCases(env, content, pages, heads)
	err = trial.Each(ctx, env, plan(env, dir), cases, t.count)
	return t.figures(known), errors.Join(err, t.verdict())
}

func plan(env *proof.Env, dir string) trial.Plan {
	return trial.Plan{
		Child: childName, Workers: 2, Timeout: 20 * time.Second,
		Args: func(worker int) ([]string, error) {
			scratch := filepath.Join(env.Scratch, fmt.Sprint("worker-", worker))
			return []string{dir, scratch}, os.MkdirAll(scratch, 0o700)
		},
	}
}

// child damages copies of the sample in one directory and examines them in another.
func child(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: DIRECTORY-OF-SAMPLE SCRATCH")
	}
	known, content, err := sample.Load(args[0])
	if err != nil {
		return err
	}
	debug.SetMaxStack(64 << 20) // unbounded recursion should fail soon
	return trial.Serve(ctx, func(ctx context.Context, c Case) sample.Outcome {
		return examine(ctx, known, content, args[1], c)
	})
}

func examine(ctx context.Context, known *sample.Sample, content []byte, scratch string, c Case) sample.Outcome {
	damaged := slices.Clone(content)
	for _, e := range c.Edits {
		copy(damaged[e.Offset:], e.Bytes)
	}
	path := filepath.Join(scratch, "damaged.yore")
	if err := sample.Write(path, damaged, known.Size); err != nil {
		return sample.Outcome{Class: sample.Untyped, By: "proof", Detail: err.Error()}
	}
	return known.Examine(ctx, path, c.ReadOnly)
}

// flipsVariable is the environment variable for the number of flipped bits, which
// overrides the table.
const flipsVariable = "YORE_PROOF_FLIPS"

// makeCases makes the cases: flipped bits anywhere, more of them in the headers of
// pages and packs, and damage of other kinds.
func makeCases(env *proof.Env, content []byte, pages []page, heads []span) []Case {
	random := env.Rand(1)
	var cases []Case
	add := func(kind string, edits ...Edit) {
		cases = append(cases, Case{Kind: kind, Edits: edits, ReadOnly: len(cases)%2 == 1})
	}
	flips := env.Scale(5_000, 75_000)
	if n, err := strconv.Atoi(os.Getenv(flipsVariable)); err == nil {
		flips = n
	}
	for range flips * 2 / 3 {
		add("bit", flip(content, random, random.IntN(len(content))))
	}
	for range flips / 3 {
		p := pages[random.IntN(len(pages))]
		if random.IntN(8) == 0 {
			p = pages[random.IntN(2)] // the meta pages
		}
		add("structure bit", flip(content, random, p.offset+random.IntN(min(p.structure(), p.size))))
	}
	for range flips / 10 {
		h := heads[random.IntN(len(heads))]
		add("pack bit", flip(content, random, h.offset+random.IntN(h.size)))
	}
	for range flips / 10 {
		offset := random.IntN(len(content))
		add("byte", Edit{offset, []byte{content[offset] + byte(1+random.IntN(255))}})
	}
	for sector := 0; sector < len(content); sector += 512 * env.Scale(3, 1) {
		add("zeroed sector", Edit{sector, make([]byte, 512)})
	}
	for i, p := range pages {
		add("zeroed page", Edit{p.offset, make([]byte, p.size)})
		other := pages[(i+1+random.IntN(len(pages)-1))%len(pages)]
		n := min(p.size, other.size)
		add("misplaced page", Edit{p.offset, content[other.offset:][:n]})
	}
	return cases
}

func flip(content []byte, random *rand.Rand, offset int) Edit {
	return Edit{offset, []byte{content[offset] ^ 1<<random.IntN(8)}}
}

// tally counts the results of the cases and keeps the first failing case of each
// kind of failure.
type tally struct {
	env     *proof.Env
	dir     string
	pages   []page
	tried   int
	failed  int
	classes map[sample.Class]int
	by      map[string]int
	bad     map[string]int // failures, by class, place and kind
	errs    []error
	died    int
	worse   int // an append made noticed damage worse
}

// enoughFailures is the number of failing cases after which no more are tried.
const enoughFailures = 100

func (t *tally) count(c Case, o sample.Outcome, died *trial.Died) error {
	t.tried++
	role, field := place(t.pages, c.Edits[0].Offset)
	if died != nil {
		t.died++
		o = sample.Outcome{Class: "died", By: "process", Detail: died.Error()}
	}
	t.classes[o.Class]++
	if o.Worse {
		t.worse++
	}
	if o.Class == sample.Harmless || o.Class == sample.Detected {
		t.by[o.By]++
		return nil
	}
	kind := fmt.Sprintf("%s by %s: %s in %s", o.Class, o.By, c.Kind, role)
	if t.failed++; t.failed == enoughFailures {
		return fmt.Errorf("%d cases failed, the others were not tried", t.failed)
	}
	if t.bad[kind]++; t.bad[kind] > 1 {
		return nil
	}
	files, err := sample.Files(t.dir)
	if err != nil {
		return err
	}
	failed := fmt.Errorf("%s (%s, offset %d, read-only %v): %.600s", kind, field, c.Edits[0].Offset, c.ReadOnly, o.Detail)
	t.errs = append(t.errs, t.env.Keep(failed, c, files))
	return nil
}

func (t *tally) figures(known *sample.Sample) proof.Figures {
	var f proof.Figures
	f.Add("events", len(known.Events))
	f.Add("file_bytes", known.Used)
	f.Add("damages", t.tried)
	f.Add("detected", t.classes[sample.Detected])
	f.Add("harmless", t.classes[sample.Harmless])
	f.Add("undetected", t.tried-t.classes[sample.Detected]-t.classes[sample.Harmless]-t.died)
	f.Add("crashes_and_hangs", t.died)
	f.Add("made_worse_by_an_append", t.worse)
	for _, by := range slices.Sorted(maps.Keys(t.by)) {
		if by != "" {
			f.Add("detected_by_"+by, t.by[by])
		}
	}
	return f
}

// verdict returns the failures, with the number of each kind.
func (t *tally) verdict() error {
	if len(t.errs) == 0 {
		return nil
	}
	lines := []string{fmt.Sprintf("of %d damages:", t.tried)}
	for _, kind := range slices.Sorted(maps.Keys(t.bad)) {
		lines = append(lines, fmt.Sprintf("  %5d %s", t.bad[kind], kind))
	}
	return errors.Join(append([]error{errors.New(strings.Join(lines, "\n"))}, t.errs...)...)
}

// replay tries a damage again.
func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) error {
	var c Case
	if err := json.Unmarshal(kept, &c); err != nil {
		return err
	}
	_, content, err := sample.Load(dir)
	if err != nil {
		return err
	}
	pages, err := layout(content)
	if err != nil {
		return err
	}
	return trial.Each(ctx, env, plan(env, dir), []Case{c}, func(c Case, o sample.Outcome, died *trial.Died) error {
		role, field := place(pages, c.Edits[0].Offset)
		env.Progress("%s in %s, %s: %s by %s: %s", c.Kind, role, field, o.Class, o.By, o.Detail)
		switch {
		case died != nil:
			return died
		case o.Class == sample.Harmless || o.Class == sample.Detected:
			return nil
		}
		return fmt.Errorf("%s by %s: %s", o.Class, o.By, o.Detail)
	})
}
