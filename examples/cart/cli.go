package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

const (
	program  = "cart"
	synopsis = program + " [-db FILE COMMAND ARGUMENTS]"
)

// subcommand is a subcommand of the command line.
type subcommand struct {
	name     string
	synopsis string // flags and arguments
	min, max int    // number of arguments
	summary  string // one line
	about    string // the rest of the text of -h
	// setup adds the flags, and returns the action to carry out after they are parsed.
	setup func(*flag.FlagSet) action
}

// action carries out a subcommand.
type action func(ctx context.Context, e *environment, args []string) error

// environment has the file and the streams of a subcommand.
type environment struct {
	db     string // the file with the log
	out    *printer
	stderr io.Writer
}

// note prints to the standard error a problem that did not stop the subcommand.
func (e *environment) note(format string, values ...any) {
	errs := &printer{w: e.stderr}
	errs.printf("cart: note: %s\n", oneLine(fmt.Errorf(format, values...)))
}

// subcommands returns all subcommands, in the order of the help text.
func subcommands() []subcommand {
	return []subcommand{
		addSubcommand, setSubcommand, removeSubcommand, checkoutSubcommand,
		showSubcommand, listSubcommand, historySubcommand, topSubcommand, importSubcommand,
	}
}

// usageError is the error of an invalid command line.
type usageError struct {
	message string
	usage   string // the valid form
	help    string // the command whose -h explains more
}

func (e *usageError) Error() string { return e.message }

// execute parses the command line and carries it out.
func execute(ctx context.Context, args []string, out *printer, stderr io.Writer) error {
	if len(args) == 0 {
		return runTour(ctx, out)
	}
	misused := func(format string, values ...any) error {
		return &usageError{message: fmt.Sprintf(format, values...), usage: synopsis, help: program}
	}
	e := &environment{out: out, stderr: stderr}
	flags := newFlags(e)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		printHelp(out)
		return out.err
	} else if err != nil {
		return misused("%v", err)
	}
	if flags.NArg() == 0 {
		return misused("no command is given")
	}
	for _, c := range subcommands() {
		if c.name == flags.Arg(0) {
			return c.execute(ctx, e, flags.Args()[1:])
		}
	}
	return misused("there is no command %q", flags.Arg(0))
}

// execute parses the arguments of the subcommand and carries it out.
func (c subcommand) execute(ctx context.Context, e *environment, args []string) error {
	misused := func(format string, values ...any) error {
		return &usageError{
			message: c.name + ": " + fmt.Sprintf(format, values...),
			usage:   c.usage(), help: program + " " + c.name,
		}
	}
	flags := newFlags(e)
	act := c.setup(flags)
	args, err := parse(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.printHelp(e.out, flags)
		return e.out.err
	case err != nil:
		return misused("%v", err)
	case len(args) < c.min || len(args) > c.max:
		return misused("%d arguments are given, not %s", len(args), between(c.min, c.max))
	case e.db == "":
		return misused("-db FILE is missing")
	}
	err = act(ctx, e, args)
	var wrong *usageError
	if errors.As(err, &wrong) {
		return misused("%v", wrong)
	}
	return err
}

func (c subcommand) usage() string { return program + " -db FILE " + c.name + " " + c.synopsis }

func between(low, high int) string {
	if low == high {
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// newFlags returns a set with the flag that may stand before or after the subcommand.
func newFlags(e *environment) *flag.FlagSet {
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&e.db, "db", e.db, "the `FILE` that holds the log; made when the first thing is written")
	return flags
}

// parse parses flags before, between and after the arguments, and returns the arguments. A
// negative number is an argument, and so is everything after "--".
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return append(positional, args[1:]...), nil
		}
		if len(arg) < 2 || arg[0] != '-' || strings.ContainsRune("0123456789.", rune(arg[1])) {
			positional, args = append(positional, arg), args[1:]
			continue
		}
		n := 1
		if flags.Lookup(strings.TrimLeft(arg, "-")) != nil {
			n = min(2, len(args)) // every flag of this program has a value
		}
		if err := flags.Parse(args[:n]); err != nil {
			return nil, err
		}
		args = args[n:]
	}
	return positional, nil
}

func printHelp(out *printer) {
	out.printf(`A shopping cart that keeps its events with Yore.

usage: %s

Without arguments it runs a guided tour, on a temporary log.
With -db FILE it works on the log in the file, and creates the file if needed:

`, synopsis)
	for _, c := range subcommands() {
		out.printf("  %-9s %s\n", c.name, c.summary)
	}
	out.printf(`
%[1]s COMMAND -h explains a command. Flags stand before or after the arguments;
everything after "--" is an argument.

The exit status is 1 for an error and 2 for an invalid command line. In both cases
nothing was written, unless an import was stopped.
`, program)
}

func (c subcommand) printHelp(out *printer, flags *flag.FlagSet) {
	out.printf("usage: %s\n\n%s\n\n%s\n\n", c.usage(), c.summary, strings.TrimSpace(c.about))
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		out.printf("  -%s %s\n      %s\n", f.Name, value, text)
	})
}
