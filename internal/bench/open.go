package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// victimVariable is the environment variable that makes a process append to the
// store at its path until it is killed.
const victimVariable = "YORE_BENCH_VICTIM"

// victimFailed is the exit status of a victim that failed.
const victimFailed = 3

// openClean compares opening a log that was closed with opening a bbolt file and
// syncing it. A note tells how long opening takes after the writer was killed.
func openClean(b *bench) (sample, error) {
	shared, err := b.log()
	if err != nil {
		return sample{}, err
	}
	b.smaller("open", "a log of %d events", shared.events)
	s, err := b.beside(
		func() (float64, error) { return openStore(shared.path) },
		func() (float64, error) { return openBolt(shared.path) },
	)
	if err != nil {
		return sample{}, err
	}
	worst := 0.0
	for range b.scale.victimRounds {
		killed, err := b.openKilled()
		if err != nil {
			return sample{}, fmt.Errorf("after a kill: %w", err)
		}
		worst = max(worst, killed)
	}
	verdict := "ok"
	if worst-s.value > 1000 {
		verdict = "MISSED"
	}
	b.note("open", fmt.Sprintf("after the writer was killed %.0f ms, %.0f ms more than after a clean close; ≤ 1000 ms more: %s",
		worst, worst-s.value, verdict))
	return s, nil
}

// openStore returns how many milliseconds it takes to open the store.
func openStore(path string) (float64, error) {
	begin := time.Now()
	store, err := boltstore.Open(path, nil)
	if err != nil {
		return 0, err
	}
	took := time.Since(begin)
	return milliseconds(took), store.Close()
}

// openBolt returns how many milliseconds it takes to open the file with bbolt and to
// sync it, as the engine must before it trusts the content.
func openBolt(path string) (float64, error) {
	begin := time.Now()
	db, err := openRaw(path)
	if err != nil {
		return 0, err
	}
	err = db.Sync()
	took := time.Since(begin)
	return milliseconds(took), errors.Join(err, db.Close())
}

// openKilled returns how many milliseconds it takes to open a copy of the shared log
// after a process that appended to it was killed.
func (b *bench) openKilled() (float64, error) {
	path, err := b.copyOfLog()
	if err != nil {
		return 0, err
	}
	if err := b.kill(path); err != nil {
		return 0, err
	}
	took, err := openStore(path)
	return took, errors.Join(err, os.Remove(path))
}

// kill starts a process that appends to a store, and kills it.
func (b *bench) kill(path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	process := exec.Command(self)
	process.Env = append(os.Environ(), victimVariable+"="+path)
	process.Stderr = os.Stderr
	stdin, err := process.StdinPipe() // the victim ends when this pipe is closed
	if err != nil {
		return err
	}
	defer stdin.Close()
	stdout, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	_, notReady := bufio.NewReader(stdout).ReadString('\n')
	if notReady == nil {
		time.Sleep(b.scale.victimLife)
	}
	if err := process.Process.Kill(); err != nil {
		return err
	}
	ended := process.Wait()
	var exit *exec.ExitError
	if notReady != nil || !errors.As(ended, &exit) || exit.ExitCode() == victimFailed {
		return fmt.Errorf("the process ended before it was killed: %w", errors.Join(notReady, ended))
	}
	return nil
}

// victim appends to the store at a path until it is killed or its parent process
// ends. It returns the exit status.
func victim(path string) int {
	err := withStore(path, func(store *boltstore.Store) error {
		b := &bench{ctx: context.Background()}
		s := b.newCrew(store, "victim", 256, 1).work(1 << 62)
		fmt.Println("ready")
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			s.stopped.Store(true)
		}()
		return s.wait()
	})
	fmt.Fprintln(os.Stderr, "append until killed:", err)
	return victimFailed
}
