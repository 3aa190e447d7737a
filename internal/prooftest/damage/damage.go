// Package damage examines damaged copies of samples in child processes, and counts what
// comes of them.
package damage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

// Case is one damage of a copy of a sample.
type Case struct {
	Kind     string // of damage
	What     string `json:",omitempty"` // more about it
	Sample   string // the directory of the sample, below that of all samples
	Edits    []Edit
	ReadOnly bool // how the file is opened
	// States are the states that the file may have besides the latest, because the damage
	// can be that of an older file. If Told is set, the store must warn of that.
	States []sample.State `json:",omitempty"`
	Told   bool           `json:",omitempty"`
}

// Edit puts bytes at an offset of the file.
type Edit struct {
	Offset int
	Bytes  []byte
}

// Child is the name of the child process, which a proof that uses this package has.
func Child(name string) string { return "examine-" + name }

// The bounds of a case. A sample has half a megabyte.
const (
	caseTime   = 15 * time.Second
	caseMemory = 256 << 20
)

// Plan is the plan of a proof with samples in directories below dir.
func Plan(env *proof.Env, name, dir string) trial.Plan {
	return trial.Plan{
		Child: Child(name), Workers: 2, Timeout: caseTime, Memory: caseMemory,
		Args: func(worker int) ([]string, error) {
			scratch := filepath.Join(env.Scratch, fmt.Sprint("worker-", worker))
			return []string{dir, scratch}, os.MkdirAll(scratch, 0o700)
		},
	}
}

// Serve is the main function of the child. Its arguments are the directory of the
// samples and one for scratch.
func Serve(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: DIRECTORY-OF-SAMPLES SCRATCH")
	}
	debug.SetMaxStack(64 << 20) // unbounded recursion should fail soon
	debug.SetMemoryLimit(caseMemory / 2)
	e := &examiner{dir: args[0], path: filepath.Join(args[1], "damaged.yore"), samples: make(map[string]loaded)}
	return trial.Serve(ctx, e.try)
}

type loaded struct {
	known   *sample.Sample
	content []byte
}

type examiner struct {
	dir, path string
	samples   map[string]loaded
}

func (e *examiner) try(ctx context.Context, c Case) sample.Outcome {
	s, ok := e.samples[c.Sample]
	if !ok {
		var err error
		if s.known, s.content, err = sample.Load(filepath.Join(e.dir, c.Sample)); err != nil {
			panic(err) // it was saved by the parent
		}
		e.samples[c.Sample] = s
	}
	return Examine(ctx, s.known, s.content, e.path, c, trial.Note)
}

// Examine damages a copy of a sample at path and examines it. If the file may have
// several states, the result is that of the state that fits.
func Examine(ctx context.Context, known *sample.Sample, content []byte, path string, c Case, note func(string)) sample.Outcome {
	damaged := slices.Clone(content)
	for _, e := range c.Edits {
		copy(damaged[e.Offset:], e.Bytes)
	}
	try := func(s *sample.Sample) sample.Outcome {
		if err := sample.Write(path, damaged, known.Size); err != nil {
			panic(err) // the scratch directory cannot be used
		}
		return s.Examine(ctx, path, sample.How{ReadOnly: c.ReadOnly, Note: note})
	}
	best := try(known)
	for _, state := range c.States {
		if best.Class != sample.Failed {
			break
		}
		o := try(known.At(state))
		if o.Class != sample.Failed && c.Told && !o.Told {
			continue
		}
		if o.Class != sample.Failed || len(o.Failures) < len(best.Failures) {
			best = o
		}
	}
	return best
}

// Replay tries a kept case again. dir has the files of its sample.
func Replay(ctx context.Context, env *proof.Env, name string, kept json.RawMessage, dir string) error {
	var c Case
	if err := json.Unmarshal(kept, &c); err != nil {
		return err
	}
	c.Sample = ""
	_, content, err := sample.Load(dir)
	if err != nil {
		return err
	}
	pages, err := layout.Pages(content)
	if err != nil {
		return err
	}
	return trial.Each(ctx, env, Plan(env, name, dir), []Case{c}, func(c Case, o sample.Outcome, died *trial.Died) error {
		role, field := layout.Place(pages, c.Edits[0].Offset)
		env.Progress("%s %s in %s, %s", c.Kind, c.What, role, field)
		switch {
		case died != nil:
			return died
		case o.Class == sample.Failed:
			return errors.New(o.String())
		}
		env.Progress("%v", o)
		return nil
	})
}
