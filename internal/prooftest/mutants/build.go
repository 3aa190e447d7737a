package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

const (
	module  = "github.com/yore-es/yore"
	command = module + "/internal/prooftest"

	// patience is how long a proof may take to fail.
	patience = 2 * time.Minute
)

// builder makes binaries of this program with a broken store.
type builder struct {
	env  *proof.Env
	root string // of the module
}

func newBuilder(ctx context.Context, env *proof.Env) (*builder, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, &proof.Skip{Reason: "there is no go command to build the mutants with"}
	}
	out, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module))
	if err != nil {
		return nil, fmt.Errorf("where the module is (run it in its tree): %w", err)
	}
	return &builder{env: env, root: strings.TrimSpace(out)}, nil
}

// try builds a mutant and runs the proof that must catch it. It returns the proof's
// output, and an error if the proof did not fail.
func (b *builder) try(ctx context.Context, m mutant) (said string, err error) {
	dir, err := os.MkdirTemp(b.env.Disk, "mutant-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	binary, err := os.Executable()
	if err == nil && m.file != "" {
		binary, err = b.build(ctx, m, dir)
	}
	if err != nil {
		return "", err
	}
	for attempt := range uint64(attempts) {
		if said, err = b.prove(ctx, m, binary, dir, (b.env.Seed+2*attempt)|1); !errors.Is(err, errNotCaught) {
			break
		}
	}
	return said, err
}

// attempts is how often a proof may try, each time with another seed: with its small budget,
// it shows a few of the faults in 19 of 20 runs only.
const attempts = 4

var errNotCaught = errors.New("NOT CAUGHT")

// build builds the binary with the mutant's file in place of the original.
func (b *builder) build(ctx context.Context, m mutant, dir string) (binary string, err error) {
	path := filepath.Join(b.root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := string(source)
	for _, e := range m.edits {
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s has this text %d times, the mutant must be brought up to date:\n%s", m.file, n, e.old)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	changed := filepath.Join(dir, "changed.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o644), os.WriteFile(list, overlay, 0o644)); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "prooftest")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", list, "-ldflags", "-s -w", "-o", binary, command)
	cmd.Dir = b.root
	_, err = output(cmd)
	return binary, err
}

// prove runs the mutant's proof. It must fail, and not because it could not be run.
// For a sound mutant it must not fail.
func (b *builder) prove(ctx context.Context, m mutant, binary, dir string, seed uint64) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	keep := dir // not needed once the mutant is gone
	if m.sound {
		keep = b.env.Kept
	}
	cmd := exec.CommandContext(ctx, binary, "-run", m.proof, "-seed", fmt.Sprint(seed), "-keep", keep)
	cmd.Env = append(os.Environ(), m.env...)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s did not come to an end: %w", m.proof, ctx.Err())
	}
	for line := range strings.Lines(string(out)) {
		var result struct{ Outcome, Error string }
		if json.Unmarshal([]byte(line), &result) != nil {
			continue
		}
		switch {
		case m.sound && result.Outcome == "ok":
			return "", nil
		case m.sound:
			return "", fmt.Errorf("%s is %s: %s", m.proof, result.Outcome, result.Error)
		case result.Outcome != "FAILED":
			return "", fmt.Errorf("%w by %s, which says %q", errNotCaught, m.proof, result.Outcome)
		case !strings.Contains(result.Error, m.says):
			return "", fmt.Errorf("%s fails, but does not say %q: %s", m.proof, m.says, result.Error)
		}
		return strings.ReplaceAll(result.Error, "\n", " "), nil
	}
	return "", errors.Join(fmt.Errorf("%s printed no outcome: %.500s", m.proof, out), err)
}

// output runs a command and returns what it prints.
func output(cmd *exec.Cmd) (string, error) {
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return string(out), nil
}
