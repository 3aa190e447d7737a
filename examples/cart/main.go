package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: it returns the exit status. An interrupt ends what it does
// in good order, a second one at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	out := &printer{w: stdout}
	err := execute(ctx, args, out, stderr)
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the output: %w", out.err)
	}
	errs := &printer{w: stderr}
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		errs.printf("cart: %v\nusage: %s\n%s -h tells more\n", usage, usage.usage, usage.help)
		return 2
	default:
		errs.printf("cart: %s\n", oneLine(err))
		return 1
	}
}

// oneLine returns the text of an error on one line: joined errors have several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// printer writes text and remembers the first error, so that it is handled once.
type printer struct {
	w    io.Writer
	err  error
	last string // the end of what was written, at most two bytes
}

func (p *printer) printf(format string, args ...any) {
	if p.err != nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	_, p.err = io.WriteString(p.w, text)
	p.last += text
	p.last = p.last[max(0, len(p.last)-2):]
}

// gap makes sure that an empty line comes before what is written next.
func (p *printer) gap() {
	switch {
	case p.last == "" || p.last == "\n\n":
	case p.last[len(p.last)-1] == '\n':
		p.printf("\n")
	default:
		p.printf("\n\n")
	}
}
