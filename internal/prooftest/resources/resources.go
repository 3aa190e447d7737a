// Package resources proves that the store works within what its process may have, or
// refuses clearly: a limit of address space, as of `ulimit -v`. Package ceilings has those
// of the heap.
package resources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const childName = "resources-case"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "resources",
		About:    "use the store with few addresses: it works, or refuses with a clear error, and goes on",
		Run:      run,
		Children: map[string]proof.Child{childName: child},
	}
}

// testCase is one of the cases. It is run in a process and a directory of its own.
type testCase struct {
	name string
	// addresses is how many bytes of address space the process may have beside those that
	// it has at the start; 0 is no limit.
	addresses uint64
	run       func(ctx context.Context, dir string) error
}

// cases are all cases.
func cases() []testCase { return addressCases() }

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	all := cases()
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return trial.InOrder(env, names, func(i int, dir string) error {
		start := time.Now()
		defer func() { env.Progress("%s: %.1fs", all[i].name, time.Since(start).Seconds()) }()
		return tryCase(ctx, env, all[i], dir)
	})
}

// tryCase runs a case in a child.
func tryCase(ctx context.Context, env *proof.Env, c testCase, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	cmd, err := env.Child(ctx, childName, c.name, dir)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), "MALLOC_ARENA_MAX=1") // else C reserves 64 MiB for a thread
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return errors.Join(err, ctx.Err(), errors.New(said.String()))
	}
	return os.RemoveAll(dir)
}

func child(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: CASE DIRECTORY")
	}
	all := cases()
	i := slices.IndexFunc(all, func(c testCase) bool { return c.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no case %q", args[0])
	}
	c := all[i]
	if c.addresses > 0 {
		reserveHeap()
		if err := limitAddresses(c.addresses); err != nil {
			return err
		}
	}
	return c.run(ctx, args[1])
}

// reserveHeap gives Go's heap addresses, which it keeps: the limit is to be the file's.
func reserveHeap() {
	reserved := make([]byte, 512<<20)
	runtime.KeepAlive(&reserved)
	reserved = nil
	runtime.GC()
}
