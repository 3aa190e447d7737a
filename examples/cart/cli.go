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

// subcommand is one word of the command line.
type subcommand struct {
	name     string
	synopsis string // flags and arguments
	min, max int    // how many arguments
	summary  string // one line
	about    string // the rest of what -h says
	// setup adds the flags and returns what to do once they are read.
	setup func(*flag.FlagSet) action
}

// action carries out a subcommand.
type action func(ctx context.Context, e *environment, args []string) error

// environment is what a subcommand works with.
type environment struct {
	db     string // the file with the log
	out    *printer
	stderr io.Writer
}

// note says on the standard error what the user should know of something that
// was done nevertheless.
func (e *environment) note(format string, values ...any) {
	errs := &printer{w: e.stderr}
	errs.printf("cart: note: %s\n", oneLine(fmt.Errorf(format, values...)))
}

// subcommands returns all of them, in the order in which help shows them.
func subcommands() []subcommand {
	return []subcommand{
		addSubcommand, setSubcommand, removeSubcommand, checkoutSubcommand,
		showSubcommand, listSubcommand, historySubcommand, topSubcommand, importSubcommand,
	}
}

// usageError says that the command line is not understood.
type usageError struct {
	message string
	usage   string // the right form
	help    string // the command whose -h tells more
}

func (e *usageError) Error() string { return e.message }

// execute reads the command line and does what it says.
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

// execute reads the subcommand's part of the command line and carries it out.
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

// newFlags returns a set with the flag that goes before or after the command.
func newFlags(e *environment) *flag.FlagSet {
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&e.db, "db", e.db, "the `FILE` that holds the log; made when the first thing is written")
	return flags
}

// parse reads flags before, between and after the arguments, and returns the
// arguments. What begins like a negative number is an argument, and so is
// everything after "--".
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

Without arguments: a guided tour, on a log that is thrown away.
With -db FILE, which holds the log and is made when needed:

`, synopsis)
	for _, c := range subcommands() {
		out.printf("  %-9s %s\n", c.name, c.summary)
	}
	out.printf(`
%[1]s COMMAND -h tells more about each. Flags go before or after the arguments;
what follows "--" is an argument whatever it looks like.

The exit status is 1 when something could not be done and 2 when the command line
is not understood; nothing has been written then, unless an import was stopped.
`, program)
}

func (c subcommand) printHelp(out *printer, flags *flag.FlagSet) {
	out.printf("usage: %s\n\n%s\n\n%s\n\n", c.usage(), c.summary, strings.TrimSpace(c.about))
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		out.printf("  -%s %s\n      %s\n", f.Name, value, text)
	})
}
