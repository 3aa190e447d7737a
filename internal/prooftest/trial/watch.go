package trial

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// watch ends a child whose case takes too long or too much memory. The child dies with
// the stacks of its goroutines.
type watch struct {
	process   *os.Process
	hung, fat atomic.Bool
	done      chan struct{} // closed by stop
	ended     chan struct{} // closed when the watch has ended
}

// watchEvery is how often the memory of a child is looked at. A child that takes
// 1 GiB a second takes 10 MiB meanwhile.
const watchEvery = 10 * time.Millisecond

// dumping is how long a child may take to print its stacks. It may take more memory
// meanwhile.
const dumping = 500 * time.Millisecond

func (w *worker) watch() *watch {
	a := &watch{process: w.cmd.Process, done: make(chan struct{}), ended: make(chan struct{})}
	go a.run(w.plan)
	return a
}

func (a *watch) run(plan Plan) {
	defer close(a.ended)
	late := time.NewTimer(plan.Timeout)
	defer late.Stop()
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		select {
		case <-a.done:
			return
		case <-late.C:
			a.hung.Store(true)
		case <-look.C:
			if plan.Memory == 0 || memoryOf(a.process.Pid) <= plan.Memory {
				continue
			}
			a.fat.Store(true)
		}
		_ = a.process.Signal(syscall.SIGQUIT) // errors mean that it has ended
		time.AfterFunc(dumping, func() { _ = a.process.Kill() })
		return
	}
}

// stop ends the watch. It reports whether the child was left alone.
func (a *watch) stop() bool {
	close(a.done)
	<-a.ended
	return !a.hung.Load() && !a.fat.Load()
}

// memoryOf returns the bytes of memory that a process has for itself, or 0 if that is
// not known.
func memoryOf(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(content), &size, &resident, &shared); err != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}
