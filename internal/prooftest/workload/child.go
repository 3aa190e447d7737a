package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// The names of the children.
const (
	runChild    = "sim-workload"
	serveChild  = "sim-segments"
	verifyChild = "sim-verify"
)

// Children returns the entry points of the processes that this package starts.
// Exactly one proof must have them.
func Children() map[string]proof.Child {
	return map[string]proof.Child{runChild: runMain, serveChild: serveMain, verifyChild: verifyMain}
}

// Command returns the command that runs a scenario in a directory, from opening the
// store to closing it.
func Command(ctx context.Context, env *proof.Env, scenario, dir string, p Params) (*exec.Cmd, error) {
	return env.Child(ctx, runChild, scenario, dir, strconv.FormatUint(p.Seed, 10), strconv.FormatBool(p.Large))
}

func runMain(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: %s SCENARIO DIR SEED LARGE", runChild)
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	p := Params{Seed: seed, Large: args[3] == "true"}
	if mode, ok := strings.CutPrefix(args[0], Insisting("")); ok {
		err = insist(ctx, args[1], p, Mode(mode))
	} else {
		err = runScenario(ctx, args[0], args[1], p)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

func runScenario(ctx context.Context, name, dir string, p Params) error {
	scenario, err := find(name)
	if err != nil {
		return err
	}
	s, err := newSession(ctx, dir, NewScript(p))
	if err != nil {
		return err
	}
	s.options.IndexMemory = p.indexMemory()
	if err := s.open(); err != nil {
		return err
	}
	return errors.Join(scenario.run(s), s.close(), s.marks.Close())
}

func insist(ctx context.Context, dir string, p Params, mode Mode) error {
	s, err := newSegment(ctx, segmentRequest{Dir: dir, Params: p, Mode: mode})
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	for range insistentCommits {
		if err := s.append(); err != nil {
			return err
		}
	}
	return errors.Join(s.close(), s.marks.Close())
}

// answer reads requests, lines of JSON, from standard input and answers each with a
// line on standard output.
func answer[Q, A any](fn func(Q) (A, error)) error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for {
		var q Q
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := fn(q)
		if err != nil {
			return err
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}
