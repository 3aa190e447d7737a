// Package proof has the common parts of the proofs: the description of a proof, its
// environment, and the form of its results.
package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// Proof is one experiment that tries to break a promise of the store.
type Proof struct {
	Name  string // lower case, words joined by '-'
	About string // one line: what is tried, and what must not happen

	// Run tries to break the promise. It returns the figures, also with an error. The
	// error names the broken promise; a [Skip] means that the proof cannot run on this
	// machine.
	Run func(ctx context.Context, env *Env) (Figures, error)

	// Replay tries a case again that Run kept with [Env.Keep]. dir has the files
	// that were kept with it. It returns the error of the case. If Replay is nil, a
	// case is replayed by running the proof with its seed.
	Replay func(ctx context.Context, env *Env, kept json.RawMessage, dir string) error

	// Children are entry points of this binary that Run starts as processes with
	// [Env.Child]: workloads that are killed, verifiers that may crash. A child's
	// name must be unique among all proofs.
	Children map[string]Child
}

// Child is the main function of a child process. If it returns an error, the process
// prints it and exits with 1.
type Child func(ctx context.Context, args []string) error

// Figures are the figures of a proof, in the order in which they are printed.
type Figures []Figure

// Figure is a number or a text with a name in lower case, with '_' between words.
type Figure struct {
	Name  string
	Value any
}

// Add appends a figure.
func (f *Figures) Add(name string, value any) { *f = append(*f, Figure{name, value}) }

// Env is the environment of a proof. It is safe for concurrent use by multiple
// goroutines.
type Env struct {
	Long    bool   // the long form, not that of continuous integration
	Seed    uint64 // of all random choices
	Scratch string // an empty directory for this run, in memory if the system has such a file system
	Disk    string // an empty directory for this run, on a disk
	Kept    string // where failing cases are kept
	Name    string // of the proof

	// Progress prints a line to standard error.
	Progress func(format string, args ...any)
}

// Scale returns short, or long in a long run.
func (e *Env) Scale(short, long int) int {
	if e.Long {
		return long
	}
	return short
}

// Rand returns a source of random numbers. It depends on the seed and on stream,
// which must differ between the sources of one proof.
func (e *Env) Rand(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(e.Seed, stream)) }

// Child returns the command that starts a child of this binary. The child is killed
// when ctx ends.
func (e *Env) Child(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"-child", name}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// Case is the file case.json of a kept case.
type Case struct {
	Proof string          `json:"proof"`
	Seed  uint64          `json:"seed"`
	Long  bool            `json:"long"`
	Error string          `json:"error"`
	Case  json.RawMessage `json:"case"`
}

// Keep keeps a failing case: its description as JSON, and files by name. It returns
// an error with the failure and with how to replay it.
func (e *Env) Keep(failed error, description any, files map[string][]byte) error {
	raw, err := json.Marshal(description)
	if err != nil {
		return errors.Join(failed, err)
	}
	if err := os.MkdirAll(e.Kept, 0o755); err != nil {
		return errors.Join(failed, err)
	}
	dir, err := os.MkdirTemp(e.Kept, e.Name+"-*")
	if err != nil {
		return errors.Join(failed, err)
	}
	content, err := json.MarshalIndent(Case{Proof: e.Name, Seed: e.Seed, Long: e.Long, Error: failed.Error(), Case: raw}, "", "  ")
	if err != nil {
		return errors.Join(failed, err)
	}
	err = os.WriteFile(filepath.Join(dir, "case.json"), content, 0o644)
	for name, file := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), file, 0o644))
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	return fmt.Errorf("%w\n  replay: go run ./internal/prooftest -replay %s", failed, dir)
}

// Skip is the error of a proof that cannot be tried on this machine, with the
// reason.
type Skip struct{ Reason string }

func (s *Skip) Error() string { return "skipped: " + s.Reason }
