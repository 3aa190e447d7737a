// Package trial tries many cases in child processes, since a case may crash its
// process, take all memory or never end. Cases and results are lines of JSON: the child
// reads a case from standard input and answers on standard output. Lines that begin
// with '#' say what the child is about to do; if it dies, the last one is reported.
package trial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// Died describes a child that did not answer.
type Died struct {
	Hung   bool   // it was killed because it took too long
	Fat    bool   // it was killed because it took too much memory
	Doing  string // its last [Note]
	Output string // the beginning of its standard error
}

// How says how the child ended, in one word.
func (d *Died) How() string {
	switch {
	case d.Fat:
		return "swollen"
	case d.Hung:
		return "hung"
	}
	return "crashed"
}

func (d *Died) Error() string {
	output := d.Output
	if d.Hung || d.Fat {
		_, output, _ = strings.Cut(output, "goroutine 1 ") // the goroutines before it are the runtime's
	}
	return fmt.Sprintf("%s in %q: %s", d.How(), d.Doing, output)
}

// Plan has the options of a run of cases.
type Plan struct {
	Child   string                             // the name of the child, see [Serve]
	Args    func(worker int) ([]string, error) // of each worker's children
	Workers int                                // children at a time
	Timeout time.Duration                      // for each case
	Memory  int64                              // most bytes of memory, without mapped files; 0 is no limit
	command func(context.Context, []string) (*exec.Cmd, error)
}

// Each runs the cases and calls done with each result, or with the end of its child,
// one call at a time. An error of done ends the run.
func Each[C, R any](ctx context.Context, env *proof.Env, plan Plan, cases []C, done func(C, R, *Died) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plan.command = func(ctx context.Context, args []string) (*exec.Cmd, error) {
		return env.Child(ctx, plan.Child, args...)
	}
	todo := make(chan C)
	go func() {
		defer close(todo)
		for _, c := range cases {
			select {
			case todo <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	var mu sync.Mutex
	var wait sync.WaitGroup
	errs := make([]error, plan.Workers)
	for i := range plan.Workers {
		wait.Go(func() {
			w := &worker{plan: plan, number: i}
			defer w.stop()
			for c := range todo {
				if errs[i] = try(ctx, w, &mu, c, done); errs[i] != nil {
					cancel()
					return
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs { // the first that is not a consequence of another
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(append(errs, context.Cause(ctx))...)
}

func try[C, R any](ctx context.Context, w *worker, mu *sync.Mutex, c C, done func(C, R, *Died) error) error {
	question, err := json.Marshal(c)
	if err != nil {
		return err
	}
	answer, died, err := w.ask(ctx, question)
	if err != nil {
		return err
	}
	var result R
	if died == nil {
		if err := json.Unmarshal(answer, &result); err != nil {
			return fmt.Errorf("child %s answers %q: %w", w.plan.Child, answer, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return done(c, result, died)
}

// Serve is the main function of a child: it runs each case that it reads.
func Serve[C, R any](ctx context.Context, try func(context.Context, C) R) error {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for ctx.Err() == nil {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var c C
		if err := json.Unmarshal(line, &c); err != nil {
			return err
		}
		if err := out.Encode(try(ctx, c)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Note says what the child does next.
func Note(what string) { fmt.Println("#" + strings.ReplaceAll(what, "\n", " ")) }

// worker runs one child at a time.
type worker struct {
	plan   Plan
	number int
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	said   *said
}

// ask gives the child a case and returns its answer.
func (w *worker) ask(ctx context.Context, question []byte) ([]byte, *Died, error) {
	if w.cmd == nil {
		if err := w.start(ctx); err != nil {
			return nil, nil, err
		}
	}
	watch := w.watch()
	_, err := w.in.Write(append(question, '\n'))
	var answer []byte
	doing := ""
	for err == nil {
		if answer, err = w.out.ReadBytes('\n'); err != nil || answer[0] != '#' {
			break
		}
		doing = strings.TrimSpace(string(answer[1:]))
	}
	if watch.stop() && err == nil {
		return answer, nil, nil
	}
	w.stop()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	return nil, &Died{Hung: watch.hung.Load(), Fat: watch.fat.Load(), Doing: doing, Output: w.said.String()}, nil
}

func (w *worker) start(ctx context.Context) error {
	args, err := w.plan.Args(w.number)
	if err != nil {
		return err
	}
	cmd, err := w.plan.command(ctx, args)
	if err != nil {
		return err
	}
	w.said = &said{}
	cmd.Stderr = w.said
	if w.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "GOGC=400") // a child that hangs must print its stacks
	w.cmd, w.out = cmd, bufio.NewReader(out)
	return cmd.Start()
}

// stop ends the child, if there is one, by the end of its input.
func (w *worker) stop() {
	if w.cmd == nil {
		return
	}
	_ = w.in.Close()
	process := w.cmd.Process
	timer := time.AfterFunc(5*time.Second, func() { _ = process.Kill() })
	_ = w.cmd.Wait() // its answer has told how it ended
	timer.Stop()
	w.cmd = nil
}

// said keeps the beginning of what is written to it, where a crash has its reason.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const saidBytes = 16 << 10

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(p[:min(len(p), max(0, saidBytes-s.buf.Len()))])
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}
