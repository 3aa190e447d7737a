// Package resources proves that the store works within what its process may have, or
// refuses clearly: a limit of address space, as of `ulimit -v`, and a ceiling of the heap.
package resources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

const childName = "resources-case"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "resources",
		About:    "use the store with few addresses and little memory: it works, or refuses with a clear error, and goes on",
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
	// heap is the most that the heap may have, in bytes; 0 is no limit.
	heap uint64
	run  func(ctx context.Context, dir string) error
}

// cases are all cases. Those of a kind are in a file of their own.
func cases() []testCase { return slices.Concat(addressCases()) }

// errSkip means that a case cannot be tried on this machine.
var errSkip = errors.New("cannot be tried here")

func run(ctx context.Context, env *proof.Env) (figures proof.Figures, _ error) {
	var errs []error
	tried, skipped := 0, 0
	for i, c := range cases() {
		dir := filepath.Join(env.Scratch, fmt.Sprint("case-", i))
		start := time.Now()
		err := tryCase(ctx, env, c, dir)
		env.Progress("%s: %.1fs", c.name, time.Since(start).Seconds())
		if errors.Is(err, errSkip) {
			skipped++
			env.Progress("%s: skipped: %v", c.name, err)
			continue
		}
		tried++
		if err != nil {
			errs = append(errs, env.Keep(fmt.Errorf("%s: %w", c.name, err), c.name, nil))
		}
	}
	figures.Add("cases", tried)
	figures.Add("skipped", skipped)
	figures.Add("problems", len(errs))
	return figures, errors.Join(errs...)
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
	if c.heap > 0 {
		go watchHeap(c.heap)
	}
	if c.addresses > 0 {
		reserveHeap()
		if err := limitAddresses(c.addresses); err != nil {
			return err
		}
	}
	return c.run(ctx, args[1])
}

// watchHeap ends the process when its heap is larger than allowed.
func watchHeap(allowed uint64) {
	var m runtime.MemStats
	for {
		if runtime.ReadMemStats(&m); m.HeapInuse > allowed {
			fmt.Fprintf(os.Stderr, "the heap has %d bytes of %d\n", m.HeapInuse, allowed)
			os.Exit(3)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// reserveHeap gives Go's heap addresses, which it keeps: the limit is to be the file's.
func reserveHeap() {
	reserved := make([]byte, 512<<20)
	runtime.KeepAlive(&reserved)
	reserved = nil
	runtime.GC()
}
