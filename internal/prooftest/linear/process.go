package linear

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
	"strconv"
	"strings"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const childName = "linear-store"

// numbered is a call or an answer on its way between the processes.
type numbered[T any] struct {
	Number  int `json:"number"`
	Content T   `json:"content"`
}

// serve is the child: it opens the log at a path and makes the calls that it reads,
// each on a goroutine of its own.
func serve(ctx context.Context, args []string) (err error) {
	if len(args) != 2 {
		return errors.New("usage: FILE INDEX-MEMORY")
	}
	memory, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	s, err := boltstore.Open(args[0], &boltstore.Options{IndexMemory: memory})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var calls sync.WaitGroup
	defer calls.Wait()
	var mu sync.Mutex
	answers := json.NewEncoder(os.Stdout)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var c numbered[*call]
		if err := in.Decode(&c); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		calls.Go(func() {
			a := c.Content.do(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			_ = answers.Encode(numbered[answer]{c.Number, a}) // a failure means that the parent is gone, which the parent notices
		})
	}
}

// process is a child that has the store of a segment.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	stderr bytes.Buffer
	gone   chan struct{} // closed when no more answers come

	mu      sync.Mutex
	calls   *json.Encoder
	waiting map[int]chan answer
	number  int
}

// startProcess starts a child on the file at path. failing names the calls of
// fdatasync, by one of its threads, that return EIO: "5" is the fifth, "5+" all from
// the fifth on, "" none.
func startProcess(ctx context.Context, env *proof.Env, path string, indexMemory int, failing string) (*process, error) {
	cmd, err := env.Child(ctx, childName, path, strconv.Itoa(indexMemory))
	if err != nil {
		return nil, err
	}
	if failing != "" {
		inject := "inject=fdatasync:error=EIO:when=" + failing
		args := append([]string{"-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject}, cmd.Args...)
		cmd = exec.CommandContext(ctx, "strace", args...)
	}
	p := &process{cmd: cmd, gone: make(chan struct{}), waiting: make(map[int]chan answer)}
	cmd.Stderr = &p.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.calls = json.NewEncoder(p.in)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go p.receive(out)
	return p, nil
}

// receive passes the answers to the waiting calls.
func (p *process) receive(out io.Reader) {
	defer close(p.gone)
	answers := json.NewDecoder(bufio.NewReader(out))
	for {
		var a numbered[answer]
		if answers.Decode(&a) != nil {
			return
		}
		p.mu.Lock()
		waiter := p.waiting[a.Number]
		delete(p.waiting, a.Number)
		p.mu.Unlock()
		waiter <- a.Content
	}
}

// do implements target. If the process has gone, the answer is unknown.
func (p *process) do(_ context.Context, c *call) answer {
	waiter := make(chan answer, 1)
	p.mu.Lock()
	p.number++
	p.waiting[p.number] = waiter
	err := p.calls.Encode(numbered[*call]{p.number, c})
	p.mu.Unlock()
	if err != nil {
		<-p.gone
	}
	select {
	case a := <-waiter:
		return a
	case <-p.gone:
	}
	select { // the answer may have come just before the end
	case a := <-waiter:
		return a
	default:
		return answer{Unknown: true}
	}
}

// kill ends the process by SIGKILL and waits until it is gone.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.gone
	_ = p.cmd.Wait() // it returns that the process was killed
	if text := strings.TrimSpace(p.stderr.String()); text != "" {
		return fmt.Errorf("the child said: %s", text)
	}
	return nil
}

// end makes the process close its store and waits for it.
func (p *process) end() error {
	err := p.in.Close()
	<-p.gone
	if waitErr := p.cmd.Wait(); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("the child: %w: %s", waitErr, strings.TrimSpace(p.stderr.String())))
	}
	return err
}

// local is a store in this process.
type local struct{ eventstore.Store }

func (l local) do(ctx context.Context, c *call) answer { return c.do(ctx, l.Store) }
