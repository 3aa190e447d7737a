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

// run runs the program and returns the exit status. The first interrupt ends the program
// cleanly, the second one at once.
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

// printer writes text and keeps the first error, so that the error is handled once.
type printer struct {
	w    io.Writer
	err  error
	last string // the last bytes written, at most two
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

// gap writes line ends so that an empty line precedes the next text.
func (p *printer) gap() {
	switch {
	case p.last == "" || p.last == "\n\n":
	case p.last[len(p.last)-1] == '\n':
		p.printf("\n")
	default:
		p.printf("\n\n")
	}
}
