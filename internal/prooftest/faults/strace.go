package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/straceio"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// Where there is no FUSE, calls are made to fail by strace. It counts the calls of
// each thread for itself, so which ones fail is left to chance, and a call is not
// known by what it is for; but all that is in the log afterwards is held to what
// was acknowledged, as ever.

// injected are the calls that are made to fail, and how, in strace's words.
var injected = [...]string{
	"fdatasync:error=EIO", "pwrite64:error=EIO", "pwrite64:error=ENOSPC", "fsync:error=EIO", "ftruncate:error=ENOSPC",
	"linkat:error=EIO",
}

// straceSweep is how far the calls of a thread are counted.
const straceSweep = 40

// imagesOfRun is how many images are tried of a run under strace.
const imagesOfRun = 160

// planStrace returns the cases that are tried with strace.
func planStrace(ctx context.Context) (cases []testCase, err error) {
	if err := straceio.Available(ctx); err != nil {
		return nil, err
	}
	for n := 1; n <= straceSweep; n++ {
		for i, call := range injected {
			mode := workload.Modes()[(n+i)%len(workload.Modes())]
			cases = append(cases, testCase{mode: mode, inject: fmt.Sprintf("%s:when=%d", call, n)})
		}
	}
	return cases, nil
}

// tryStrace runs a case under strace and looks at what power losses leave. It
// says nothing if the thread made no such call.
func (w *worker) tryStrace(ctx context.Context, c testCase) (err error) {
	s := w.sweep
	s.mu.Lock()
	s.runs++
	number := s.runs
	s.mu.Unlock()
	dir := filepath.Join(s.env.Scratch, fmt.Sprint("strace-", number))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd, err := workload.Command(ctx, s.env, workload.Insisting(c.mode), dir, s.params)
	if err != nil {
		return err
	}
	trace, err := straceio.Run(ctx, cmd, dir, straceio.Options{Inject: []string{c.inject}})
	if err != nil {
		return fmt.Errorf("%v: %w", c, err)
	}
	if !hit(trace) {
		return nil
	}
	s.mu.Lock()
	s.cases++
	s.mu.Unlock()
	return w.explore(trace, c, 0, uint64(number), imagesOfRun)
}

// hit reports whether a call has failed: the trace has it, or the store was told.
func hit(trace simfs.Trace) bool {
	opened := 0
	for _, op := range trace.Ops {
		switch {
		case op.Failed, strings.HasPrefix(op.Text, "failed"), strings.HasPrefix(op.Text, "unknown"):
			return true
		case op.Text == "opening":
			opened++
		}
	}
	return opened > 1
}
