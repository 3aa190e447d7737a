package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
)

// peer is a child process that answers requests, one at a time. It is started when
// it is needed, also after it has died.
type peer struct {
	ctx  context.Context
	env  *proof.Env
	name string

	mu  sync.Mutex // guards cmd, which kill uses
	cmd *exec.Cmd

	in     io.WriteCloser
	out    *json.Decoder
	stderr *beginning
}

// patience is how long a child may take for an answer.
const patience = 30 * time.Second

// diedError describes a child that did not answer.
type diedError struct {
	hung   bool
	output string
}

func (d *diedError) Error() string {
	if d.hung {
		return fmt.Sprintf("no answer in %v: %s", patience, d.output)
	}
	return "the process crashed: " + d.output
}

func (p *peer) start() error {
	cmd, err := p.env.Child(p.ctx, p.name)
	if err != nil {
		return err
	}
	p.stderr = &beginning{}
	cmd.Stderr = p.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.in, p.out = in, json.NewDecoder(out)
	p.set(cmd)
	return nil
}

func (p *peer) set(cmd *exec.Cmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = cmd
}

// kill kills the child, if there is one. It may be called while another goroutine
// waits for an answer, which then does not come.
func (p *peer) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// ask sends a request and waits for the answer. The error is a *diedError if the
// child did not give one.
func (p *peer) ask(q, a any) error {
	if p.cmd == nil {
		if err := p.start(); err != nil {
			return err
		}
	}
	line, err := json.Marshal(q)
	if err != nil {
		return err
	}
	var hung atomic.Bool
	watch := time.AfterFunc(patience, func() {
		hung.Store(true)
		_ = p.kill() // nothing else can be done
	})
	_, err = p.in.Write(append(line, '\n'))
	if err == nil {
		err = p.out.Decode(a)
	}
	if watch.Stop() && err == nil {
		return nil
	}
	_ = p.kill()
	_ = p.cmd.Wait() // the output says how it ended
	p.set(nil)
	if err := p.ctx.Err(); err != nil {
		return err
	}
	return &diedError{hung: hung.Load(), output: p.stderr.String()}
}

// close ends the child.
func (p *peer) close() error {
	if p.cmd == nil {
		return nil
	}
	err := errors.Join(p.in.Close(), p.cmd.Wait())
	p.set(nil)
	return err
}

// beginning keeps the beginning of what is written to it.
type beginning struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const beginningSize = 4096

func (t *beginning) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := beginningSize - t.b.Len(); room > 0 {
		t.b.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (t *beginning) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
