// Command prooftest tries to break the promises of the store: with power losses at
// every moment, failing disks, kills, damaged bytes and races; and those of the layers above
// it: with values that cannot be read back. It prints the figures
// of each proof as a line of text and as JSON, and exits with 1 if a proof failed.
// It runs on Linux.
//
//	go run ./internal/prooftest -short           what continuous integration runs
//	go run ./internal/prooftest -long            about an hour
//	go run ./internal/prooftest -run power-loss  one proof, or several with commas
//	go run ./internal/prooftest -replay DIR      a case that failed and was kept
//	go run ./internal/prooftest -list            the proofs, and the mutants that they must find
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yore-es/yore/internal/prooftest/bitflip"
	"github.com/yore-es/yore/internal/prooftest/ceilings"
	"github.com/yore-es/yore/internal/prooftest/ext4"
	"github.com/yore-es/yore/internal/prooftest/fairness"
	"github.com/yore-es/yore/internal/prooftest/faults"
	"github.com/yore-es/yore/internal/prooftest/fuzzing"
	"github.com/yore-es/yore/internal/prooftest/inuse"
	"github.com/yore-es/yore/internal/prooftest/killloop"
	"github.com/yore-es/yore/internal/prooftest/killwindow"
	"github.com/yore-es/yore/internal/prooftest/leaks"
	"github.com/yore-es/yore/internal/prooftest/linear"
	"github.com/yore-es/yore/internal/prooftest/lostwrite"
	"github.com/yore-es/yore/internal/prooftest/model"
	"github.com/yore-es/yore/internal/prooftest/mutants"
	"github.com/yore-es/yore/internal/prooftest/paths"
	"github.com/yore-es/yore/internal/prooftest/powerloss"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/readback"
	"github.com/yore-es/yore/internal/prooftest/resources"
	"github.com/yore-es/yore/internal/prooftest/soak"
	"github.com/yore-es/yore/internal/prooftest/truncation"
)

// proofs returns all proofs, in the order in which they run.
func proofs() []proof.Proof {
	return []proof.Proof{
		powerloss.New(),
		faults.New(),
		killwindow.New(),
		ext4.New(),
		linear.New(),
		model.New(),
		bitflip.New(),
		lostwrite.New(),
		truncation.New(),
		inuse.New(),
		paths.New(),
		resources.New(),
		readback.New(),
		killloop.New(),
		ceilings.New(),
		fuzzing.New(),
		leaks.New(),
		fairness.New(),
		soak.New(),
		mutants.New(),
	}
}

func main() {
	// The proofs damage files and fail calls by the thousand: what a store logs of that is
	// no news.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prooftest:", err)
		os.Exit(1)
	}
}

type options struct {
	long   bool
	only   string
	seed   uint64
	kept   string
	replay string
	list   bool
}

func run(ctx context.Context, args []string) error {
	if len(args) > 1 && args[0] == "-child" {
		return runChild(ctx, args[1], args[2:])
	}
	var o options
	flags := flag.NewFlagSet("prooftest", flag.ContinueOnError)
	short := flags.Bool("short", false, "the short form of each proof (the default)")
	flags.BoolVar(&o.long, "long", false, "the long form of each proof")
	flags.StringVar(&o.only, "run", "", "run only these `proofs`, separated by commas")
	flags.Uint64Var(&o.seed, "seed", 0, "the `seed` of all that is random; 0 takes a new one")
	flags.StringVar(&o.kept, "keep", filepath.Join(os.TempDir(), "yore-proofs"), "the `directory` in which failing cases are kept")
	flags.StringVar(&o.replay, "replay", "", "try the case again that was kept in this `directory`")
	flags.BoolVar(&o.list, "list", false, "list the proofs and the mutants")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *short && o.long || flags.NArg() > 0 {
		return errors.New("usage: prooftest [-short | -long] [-run PROOFS] [-seed N] [-keep DIR] | -replay DIR | -list")
	}
	switch {
	case o.list:
		list()
		return nil
	case o.replay != "":
		return replay(ctx, o)
	}
	return runProofs(ctx, o)
}

// list prints the proofs, and the mutants with the proof that must find each.
func list() {
	for _, p := range proofs() {
		fmt.Printf("%-16s %s\n", p.Name, p.About)
	}
	fmt.Println("\nmutants, and the proof that must find each:")
	for _, m := range mutants.List() {
		if m.Breaks == "" {
			m.Breaks = "nothing is broken, and the proof must pass"
		}
		fmt.Printf("%-48s %-12s %s\n", m.Name, m.Proof, m.Breaks)
	}
}

func runChild(ctx context.Context, name string, args []string) error {
	for _, p := range proofs() {
		if child, ok := p.Children[name]; ok {
			return child(ctx, args)
		}
	}
	return fmt.Errorf("no child %q", name)
}

func runProofs(ctx context.Context, o options) error {
	selected, err := choose(o.only)
	if err != nil {
		return err
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	fmt.Printf("seed %d\n", o.seed)
	passed, skipped := 0, 0
	var failed []string
	for _, p := range selected {
		switch err := runProof(ctx, p, o); {
		case err == nil:
			passed++
		case errors.As(err, new(*proof.Skip)):
			skipped++
		default:
			failed = append(failed, p.Name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("proofs: %d passed, %d failed, %d skipped\n", passed, len(failed), skipped)
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// choose returns the proofs with these names, separated by commas; all for "".
func choose(names string) ([]proof.Proof, error) {
	if names == "" {
		return proofs(), nil
	}
	var chosen []proof.Proof
	for name := range strings.SplitSeq(names, ",") {
		all := proofs()
		i := slices.IndexFunc(all, func(p proof.Proof) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no proof %q; -list names them", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// runProof runs one proof and prints its result.
func runProof(ctx context.Context, p proof.Proof, o options) error {
	env, remove, err := newEnv(p.Name, o)
	if err != nil {
		return err
	}
	defer remove()
	start := time.Now()
	figures, err := p.Run(ctx, env)
	print(p.Name, o, figures, time.Since(start), err)
	return err
}

// newEnv makes the directories of a run. remove removes them.
func newEnv(name string, o options) (env *proof.Env, remove func(), err error) {
	memory := os.TempDir()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		memory = "/dev/shm"
	}
	scratch, err := os.MkdirTemp(memory, "yore-proof-*")
	if err != nil {
		return nil, nil, err
	}
	disk, err := os.MkdirTemp("", "yore-proof-*")
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(scratch))
	}
	remove = func() {
		if err := errors.Join(os.RemoveAll(scratch), os.RemoveAll(disk)); err != nil {
			fmt.Fprintln(os.Stderr, "prooftest:", err)
		}
	}
	return &proof.Env{
		Long: o.long, Seed: o.seed, Scratch: scratch, Disk: disk, Kept: o.kept, Name: name,
		Progress: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, name+": "+format+"\n", args...)
		},
	}, remove, nil
}

// print prints a proof's result as a line of text and a line of JSON.
func print(name string, o options, figures proof.Figures, took time.Duration, err error) {
	outcome := "ok"
	var skip *proof.Skip
	switch {
	case errors.As(err, &skip):
		outcome = "skipped"
	case err != nil:
		outcome = "FAILED"
	}
	all := append(proof.Figures{{Name: "proof", Value: name}, {Name: "outcome", Value: outcome}, {Name: "seed", Value: o.seed},
		{Name: "seconds", Value: float64(took.Milliseconds()) / 1000}}, figures...)
	fmt.Printf("%-16s %-7s %6.1fs", name, outcome, took.Seconds())
	for _, f := range figures {
		fmt.Printf("  %s %v", strings.ReplaceAll(f.Name, "_", " "), f.Value)
	}
	fmt.Println()
	if err != nil {
		fmt.Printf("  %v\n", err)
		all.Add("error", err.Error())
	}
	fmt.Println(object(all))
}

// object formats the figures as a JSON object that keeps their order.
func object(figures proof.Figures) string {
	var b strings.Builder
	for i, f := range figures {
		value, err := json.Marshal(f.Value)
		if err != nil {
			value, _ = json.Marshal(fmt.Sprint(f.Value)) // a string can always be encoded
		}
		fmt.Fprintf(&b, "%c%q:%s", "{,"[min(i, 1)], f.Name, value)
	}
	return b.String() + "}"
}

// replay tries a kept case again.
func replay(ctx context.Context, o options) error {
	content, err := os.ReadFile(filepath.Join(o.replay, "case.json"))
	if err != nil {
		return err
	}
	var kept proof.Case
	if err := json.Unmarshal(content, &kept); err != nil {
		return fmt.Errorf("%s: %w", o.replay, err)
	}
	chosen, err := choose(kept.Proof)
	if err != nil {
		return err
	}
	o.seed, o.long = kept.Seed, kept.Long
	if chosen[0].Replay == nil {
		return runProof(ctx, chosen[0], o)
	}
	env, remove, err := newEnv(kept.Proof, o)
	if err != nil {
		return err
	}
	defer remove()
	if err := chosen[0].Replay(ctx, env, kept.Case, o.replay); err != nil {
		return fmt.Errorf("%s: %w", kept.Proof, err)
	}
	fmt.Println("the case does not fail any more")
	return nil
}
