// Package leaks proves that a store releases what it takes: files, locks, mappings
// and goroutines, on every path, including those of errors.
package leaks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

const childName = "open-and-close"

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "leaks",
		About:    "open, use, fail and close many times: no file, lock, mapping or goroutine is left",
		Run:      run,
		Children: map[string]proof.Child{childName: child},
	}
}

// result is the output of the child.
type result struct {
	Rounds, Ways                int
	Files, Mappings, Goroutines int // at the end
	HeapBefore, HeapAfter       uint64
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	if _, err := os.Stat("/proc/self/maps"); err != nil {
		return nil, &proof.Skip{Reason: "no /proc to look at"}
	}
	cmd, err := env.Child(ctx, childName, env.Scratch, fmt.Sprint(env.Scale(40, 1000)))
	if err != nil {
		return nil, err
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, err
	}
	var figures proof.Figures
	figures.Add("rounds", r.Rounds)
	figures.Add("ways_out", r.Ways)
	figures.Add("open_files", r.Files)
	figures.Add("mappings", r.Mappings)
	figures.Add("goroutines", r.Goroutines)
	figures.Add("heap_kib_before", r.HeapBefore>>10)
	figures.Add("heap_kib_after", r.HeapAfter>>10)
	if r.HeapAfter > r.HeapBefore+heapSlack {
		return figures, fmt.Errorf("the heap grew from %d to %d bytes", r.HeapBefore, r.HeapAfter)
	}
	return figures, nil
}

// heapSlack is how much the heap may grow, for what the runtime and libraries keep.
// A store that stays reachable keeps more in every round.
const heapSlack = 2 << 20

// child goes all ways many times in a process of its own. It returns an error that
// names a way that did not release what it took.
func child(ctx context.Context, args []string) error {
	var rounds int
	if len(args) != 2 {
		return errors.New("usage: SCRATCH ROUNDS")
	}
	if _, err := fmt.Sscan(args[1], &rounds); err != nil {
		return err
	}
	all, err := ways(ctx, args[0])
	if err != nil {
		return err
	}
	r := result{Rounds: rounds, Ways: len(all)}
	for round := range rounds {
		for _, w := range all {
			if err := w.check(args[0], round >= warmUp); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		if round == warmUp {
			r.HeapBefore = heap()
		}
	}
	r.HeapAfter = heap()
	end, err := look()
	if err != nil {
		return err
	}
	r.Files, r.Mappings, r.Goroutines = len(end.files), len(end.mappings), end.goroutines
	return json.NewEncoder(os.Stdout).Encode(r)
}

// warmUp is the number of rounds before the count: the runtime opens what it needs.
const warmUp = 1

// way is a way to use a store and to finish with it.
type way struct {
	name string
	do   func(dir string) error
}

// run goes the way once, in a directory of its own.
func (w way) run(scratch string) error {
	dir, err := os.MkdirTemp(scratch, "way-*")
	if err != nil {
		return err
	}
	if err := w.do(dir); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	return os.RemoveAll(dir)
}

// check goes the way once. If counts is true, it compares what the process holds
// before and after. It does not run the collector, which would close forgotten
// files.
func (w way) check(scratch string, counts bool) error {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before, err := look()
	if err != nil {
		return err
	}
	if err := w.run(scratch); err != nil {
		return err
	}
	after, err := settle(before)
	if err != nil {
		return err
	}
	if left := after.beyond(before); counts && left != "" {
		return fmt.Errorf("%s: %s", w.name, left)
	}
	return nil
}

// held has the resources that the process holds.
type held struct {
	files      []string // open files
	mappings   []string // mapped files
	goroutines int
}

// settle returns what the process holds, once that is no more than before, or after
// some time: goroutines may need a moment to end.
func settle(before held) (held, error) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		now, err := look()
		if err != nil || now.beyond(before) == "" || time.Now().After(deadline) {
			return now, err
		}
	}
}

func look() (held, error) {
	h := held{goroutines: runtime.NumGoroutine()}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return h, err
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil { // otherwise it was the descriptor of the directory
			h.files = append(h.files, target)
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(maps)) {
		if fields := strings.Fields(line); len(fields) > 5 && strings.HasPrefix(fields[5], "/") {
			h.mappings = append(h.mappings, fields[5])
		}
	}
	slices.Sort(h.files)
	slices.Sort(h.mappings)
	return h, nil
}

// beyond describes what h holds and before does not.
func (h held) beyond(before held) string {
	var left []string
	if len(h.files) > len(before.files) {
		left = append(left, fmt.Sprintf("files are left open: %v, before: %v", h.files, before.files))
	}
	if len(h.mappings) > len(before.mappings) {
		left = append(left, fmt.Sprintf("files are left mapped: %v, before: %v", h.mappings, before.mappings))
	}
	if h.goroutines > before.goroutines {
		stacks := make([]byte, 1<<16)
		left = append(left, fmt.Sprintf("%d goroutines, before: %d\n%s", h.goroutines, before.goroutines, stacks[:runtime.Stack(stacks, true)]))
	}
	return strings.Join(left, "; ")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers held
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
