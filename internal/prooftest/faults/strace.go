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

// Without FUSE, strace makes calls fail. It counts the calls of each thread, so it is
// random which calls fail, and the purpose of a failing call is not known. The log is
// compared with what was acknowledged all the same.

// injected are the calls that fail, and how, in strace's syntax.
var injected = [...]string{
	"fdatasync:error=EIO", "pwrite64:error=EIO", "pwrite64:error=ENOSPC", "fsync:error=EIO", "ftruncate:error=ENOSPC",
	"linkat:error=EIO",
}

// straceSweep is the number of calls of a thread that fail, one in each run.
const straceSweep = 40

// imagesOfRun is the number of images that are tried for a run under strace.
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

// tryStrace runs a case under strace and explores power losses. It returns nil if the
// thread made no such call.
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

// hit reports whether a call has failed: in the trace, or by an error of the store.
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
