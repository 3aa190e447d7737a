// Package fuzzing proves that no bytes make a decoder panic, hang, or return what
// was not written. It runs the fuzz targets of the packages that decode, each for
// some time.
//
// The go command makes the inputs, guided by coverage; they do not depend on the
// seed. A failing input is kept and replayed.
package fuzzing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

const module = "github.com/yore-es/yore/"

// target is a fuzz target and the format that it decodes.
type target struct {
	Figure  string
	Package string // path within the module
	Name    string
}

func targets() []target {
	return []target{
		{"record", "internal/record", "FuzzDecode"},
		{"pack", "internal/record", "FuzzParseValue"},
		{"index", "internal/index", "FuzzReader"},
		{"index_block", "internal/index", "FuzzBlock"},
		{"index_status", "internal/index", "FuzzStatus"},
		{"pages", "internal/pages", "FuzzCheck"},
		{"export_lines", "eventstore/boltstore", "FuzzImport"},
		{"mutated_file", "eventstore/boltstore", "FuzzOpen_MutatedFile"},
		{"checkpoint", "internal/viewfile", "FuzzOpenCheckpoint"},
	}
}

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:   "fuzz",
		About:  "fuzz records, the index, pages, export lines, and opening a mutated file: no panic, no hang, nothing that was not written",
		Run:    run,
		Replay: replay,
	}
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	if _, err := packageDir(ctx, targets()[0]); err != nil {
		return nil, &proof.Skip{Reason: err.Error()}
	}
	length := 20 * time.Second
	if env.Long {
		length = 10 * time.Minute
	}
	todo := targets()
	execs, errs := make([]int, len(todo)), make([]error, len(todo))
	lanes := make(chan struct{}, 2) // each runs one fuzzing process, so two cores are busy
	var wait sync.WaitGroup
	for i, t := range todo {
		wait.Go(func() {
			lanes <- struct{}{}
			defer func() { <-lanes }()
			execs[i], errs[i] = fuzz(ctx, env, t, length)
		})
	}
	wait.Wait()
	var figures proof.Figures
	figures.Add("seconds_each", int(length.Seconds()))
	for i, t := range todo {
		figures.Add(t.Figure, execs[i])
		if errs[i] == nil && execs[i] == 0 {
			errs[i] = fmt.Errorf("%s tried nothing", t.Name)
		}
	}
	return figures, errors.Join(errs...)
}

// packageDir returns the source directory of a target's package.
func packageDir(ctx context.Context, t target) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+t.Package).Output()
	if err != nil {
		return "", fmt.Errorf("no source of %s, or no go command: %w", t.Package, err)
	}
	return strings.TrimSpace(string(out)), nil
}

var (
	triedInputs  = regexp.MustCompile(`execs: (\d+)`)
	failingInput = regexp.MustCompile(`(?m)Failing input written to (\S+)`)
)

// fuzz runs a target and returns the number of inputs tried.
func fuzz(ctx context.Context, env *proof.Env, t target, length time.Duration) (execs int, err error) {
	dir, err := packageDir(ctx, t)
	if err != nil {
		return 0, err
	}
	cmd := goTest(ctx, env, dir, "-run", "^$", "-fuzz", "^"+t.Name+"$", "-fuzztime", length.String(), "-fuzzminimizetime", "1s", "-parallel", "1")
	out, err := cmd.CombinedOutput()
	if all := triedInputs.FindAllSubmatch(out, -1); len(all) > 0 {
		execs, _ = strconv.Atoi(string(all[len(all)-1][1])) // digits; the last count is of all inputs
	}
	if err == nil || ctx.Err() != nil {
		return execs, ctx.Err()
	}
	failed := fmt.Errorf("%s in %s: %w\n%.3000s", t.Name, t.Package, err, out[bytes.IndexByte(out, '\n')+1:])
	m := failingInput.FindSubmatch(out)
	if m == nil {
		return execs, failed
	}
	// The go command leaves the input in the source tree, where it would be run as a
	// test.
	path := filepath.Join(dir, string(m[1]))
	input, err := os.ReadFile(path)
	if err != nil {
		return execs, errors.Join(failed, err)
	}
	return execs, errors.Join(env.Keep(failed, t, map[string][]byte{inputFile: input}), os.Remove(path))
}

const inputFile = "input"

func goTest(ctx context.Context, env *proof.Env, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-timeout", "0"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+env.Scratch)
	return cmd
}

// replay runs a target on a kept input.
func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) (err error) {
	var t target
	if err := json.Unmarshal(kept, &t); err != nil {
		return err
	}
	input, err := os.ReadFile(filepath.Join(dir, inputFile))
	if err != nil {
		return err
	}
	source, err := packageDir(ctx, t)
	if err != nil {
		return err
	}
	corpus := filepath.Join(source, "testdata", "fuzz", t.Name)
	if err := os.MkdirAll(corpus, 0o755); err != nil {
		return err
	}
	path := filepath.Join(corpus, "replayed")
	if err := os.WriteFile(path, input, 0o600); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	out, err := goTest(ctx, env, source, "-count=1", "-run", "^"+t.Name+"$/^replayed$").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
