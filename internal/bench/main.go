package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/pprof"
	"time"
)

// config is the values of the flags.
type config struct {
	scale      scale
	only       *regexp.Regexp
	dir        string
	cpuProfile string
	json       bool
	strict     bool
	verbose    bool
}

func main() {
	if path := os.Getenv(victimVariable); path != "" {
		os.Exit(victim(path))
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command and returns the exit status: 0; 1 if a row could not be
// measured, or if -strict is set and a row has missed its bound; 2 for wrong
// arguments.
func run(args []string, stdout, stderr io.Writer) int {
	c, list, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if list {
		printList(stdout, selected(c.only))
		return 0
	}
	missed, err := measure(context.Background(), c, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if c.strict && missed {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (c config, list bool, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "measure all in less than a minute, from smaller logs")
	only := flags.String("run", "", "measure only the rows whose names match this `regexp`")
	flags.StringVar(&c.dir, "dir", os.TempDir(), "the `directory` for the files, on a disk; what is made there is removed")
	flags.StringVar(&c.cpuProfile, "cpuprofile", "", "write a CPU profile to this `file`")
	flags.BoolVar(&c.json, "json", false, "print one JSON object per row, and the notes to stderr")
	flags.BoolVar(&c.strict, "strict", false, "exit with status 1 if a row misses what it must reach")
	flags.BoolVar(&c.verbose, "v", false, "tell on stderr how long each row took")
	flags.BoolVar(&list, "list", false, "list the rows and end")
	if err := flags.Parse(args); err != nil {
		return c, false, err
	}
	if flags.NArg() > 0 {
		return c, false, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if c.only, err = regexp.Compile(*only); err != nil {
		return c, false, fmt.Errorf("flag run: %w", err)
	}
	c.scale = full
	if *quick {
		c.scale = quickly
	}
	return c, list, nil
}

// measure measures the rows in a temporary directory and prints each result at once.
// It continues after a row that cannot be measured, and returns the error at the
// end.
func measure(ctx context.Context, c config, stdout, stderr io.Writer) (missed bool, err error) {
	dir, err := os.MkdirTemp(c.dir, "yore-bench-")
	if err != nil {
		return false, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.cpuProfile != "" {
		file, err := os.Create(c.cpuProfile)
		if err != nil {
			return false, fmt.Errorf("write a profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return false, fmt.Errorf("write a profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	out := newPrinter(c.json, stdout, stderr)
	b := &bench{ctx: ctx, dir: dir, scale: c.scale, note: out.note}
	if inMemory(dir) {
		b.note("", "the files lie in memory, not on a disk: no figure of an append means anything (see -dir)")
	}
	var faults []error
	for _, r := range selected(c.only) {
		begin := time.Now()
		s, err := r.run(b)
		if c.verbose {
			fmt.Fprintf(stderr, "%-22s took %.1f s\n", r.name, time.Since(begin).Seconds())
		}
		switch {
		case errors.Is(err, errSkipped):
			b.note(r.name, err.Error())
		case err != nil:
			faults = append(faults, fmt.Errorf("measure %s: %w", r.name, err))
		default:
			missed = out.row(r, s) || missed
		}
	}
	out.end()
	return missed, errors.Join(faults...)
}
