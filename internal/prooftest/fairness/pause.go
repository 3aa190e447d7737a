package fairness

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const childName = "fairness-pause"

// pause is how long the process is stopped: twice as long as the view's timeout.
const (
	pause   = 2 * timeout
	timeout = time.Second / 2
)

// work is how long the view takes for an event, and the appender waits between two events: so
// the view is at work for half of the time.
const work = 20 * time.Millisecond

// status is the answer of the child to each line that it reads.
type status struct {
	Attached       bool
	AtWork         bool // the view
	Head, Position eventstore.Position
	Count          uint64
	Late           bool
	Changes        int32 // calls of Changed
	Fault          string
}

// paused stops a process that appends beside an attached view, kills it, and stops the next
// one while it attaches the view. The view must catch up by itself each time.
func paused(ctx context.Context, env *proof.Env, figures *proof.Figures) error {
	path := filepath.Join(env.Disk, "pause.yore")
	changes := int32(0)
	for round := range env.Scale(2, 10) {
		s, err := pauseOne(ctx, env, path, round%2 == 1)
		if err != nil {
			return fmt.Errorf("pause %d: %w", round+1, err)
		}
		changes += s.Changes
	}
	figures.Add("pauses", 2*env.Scale(2, 10))
	figures.Add("views_late", changes)
	return nil
}

// pauseOne runs one process and stops it twice: while it attaches the view, and later. It is
// killed at the end.
func pauseOne(ctx context.Context, env *proof.Env, path string, again bool) (s status, err error) {
	cmd, err := env.Child(ctx, childName, path)
	if err != nil {
		return s, err
	}
	c, err := start(cmd)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, c.kill()) }()
	if s, err = c.ask(); err != nil {
		return s, err
	}
	for range 2 {
		if err := errors.Join(c.stop(ctx), c.recovered(ctx, &s)); err != nil {
			return s, err
		}
	}
	if again {
		return s, nil
	}
	return s, c.stop(ctx) // and it is killed before the view has caught up
}

// process is a child and its pipes.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func start(cmd *exec.Cmd) (*process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd, in, json.NewDecoder(out)}, cmd.Start()
}

// ask asks the child for its status.
func (p *process) ask() (s status, err error) {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return s, err
	}
	if err := p.out.Decode(&s); err != nil {
		return s, fmt.Errorf("the child does not answer: %w", err)
	}
	if s.Fault != "" {
		return s, fmt.Errorf("the view has a fault: %s", s.Fault)
	}
	return s, nil
}

// stop stops the child for a while, if possible while its view is at work.
func (p *process) stop(ctx context.Context) error {
	for range 1000 {
		if s, err := p.ask(); err != nil || s.AtWork {
			break
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return errors.Join(idle(ctx, pause), p.cmd.Process.Signal(syscall.SIGCONT))
}

// recovered waits until the view is attached and not late, and has applied more events.
func (p *process) recovered(ctx context.Context, s *status) (err error) {
	begun := s.Head
	for deadline := time.Now().Add(30 * time.Second); ; {
		if *s, err = p.ask(); err != nil {
			return err
		}
		if s.Attached && !s.Late && s.Position > begun {
			if s.Count != uint64(s.Position) {
				return fmt.Errorf("the view counts %d events at position %d", s.Count, s.Position)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the view does not come back: %+v", *s)
		}
		if err := idle(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
	return err
}

var countKey = eventstore.RowKey{Table: "t", Key: []byte("count")}

// counting is a view that counts events, and takes a while for it, so that a pause meets it
// at work.
func counting(changes *atomic.Int32, atWork *atomic.Bool) eventstore.InlineView {
	return eventstore.InlineView{
		View: "count", Query: eventstore.All(), Timeout: timeout, Changed: func() { changes.Add(1) },
		Apply: func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			atWork.Store(true)
			defer atWork.Store(false)
			for range 20 {
				time.Sleep(work / 20)
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			found, err := tx.Get(countKey)
			if err != nil {
				return err
			}
			n := uint64(len(events))
			if found[0].Value != nil {
				n += binary.BigEndian.Uint64(found[0].Value)
			}
			return tx.Put(eventstore.Row{RowKey: countKey, Value: binary.BigEndian.AppendUint64(nil, n)})
		},
	}
}

// worker is the child: an appender, and a view that is attached meanwhile.
type worker struct {
	store            *boltstore.Store
	attached, atWork atomic.Bool
	changes          atomic.Int32
	failed           chan error
}

// child works on the store at a path until its input ends. It answers each line with its
// status.
func child(ctx context.Context, args []string) (err error) {
	if len(args) != 1 {
		return errors.New("usage: FILE")
	}
	w := worker{failed: make(chan error, 2)}
	if w.store, err = boltstore.Open(args[0], nil); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer func() { err = errors.Join(err, w.store.Close()) }()
	defer working.Wait()
	defer stop()
	working.Go(func() { w.attach(ctx) })
	working.Go(func() { w.append(ctx) })
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := w.look(ctx)
		if err != nil {
			return err
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) attach(ctx context.Context) {
	if err := w.store.Attach(ctx, counting(&w.changes, &w.atWork)); err != nil {
		w.failed <- err
		return
	}
	w.attached.Store(true)
}

func (w *worker) append(ctx context.Context) {
	event := eventstore.NewEvent{Type: "t", Data: []byte("{}")}
	for ctx.Err() == nil {
		_, err := w.store.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{event}})
		if err == nil {
			err = idle(ctx, work)
		}
		if err != nil {
			w.failed <- err
			return
		}
	}
}

// look returns the status. An error of the worker counts as a fault.
func (w *worker) look(ctx context.Context) (answer status, err error) {
	set, err := w.store.GetRows(ctx, "count", countKey)
	if err != nil {
		return answer, err
	}
	answer.Attached, answer.AtWork, answer.Changes = w.attached.Load(), w.atWork.Load(), w.changes.Load()
	select {
	case err := <-w.failed:
		answer.Fault = err.Error()
	default:
	}
	if fault := set.Checkpoint.Fault; fault != nil {
		answer.Fault = fault.Reason
	}
	if value := set.Rows[0].Value; value != nil {
		answer.Count = binary.BigEndian.Uint64(value)
	}
	answer.Position, answer.Late = set.Checkpoint.Position, set.Late != nil
	answer.Head, err = w.store.Head(ctx)
	return answer, err
}
