// Package killloop proves that a killed process loses nothing that it has
// acknowledged or shown. It kills a writing process again and again on one file.
package killloop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/packs"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const (
	childName  = "append-until-killed"
	fileRounds = 20 // kills on one file, before a new file keeps it small
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "kill-loop",
		About:    "kill -9 a process with 8 writers, 2 followers and 2 views, and open the file: all that was acknowledged or seen is there, commits are whole",
		Run:      run,
		Replay:   replay,
		Children: map[string]proof.Child{childName: workload},
	}
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &totals{}
	t.left.Store(int64(env.Scale(500, 10_000)))
	dirs := []string{env.Scratch, env.Disk} // memory kills often, a disk in the middle of its syncs
	errs := make([]error, len(dirs))
	var wait sync.WaitGroup
	for i, dir := range dirs {
		wait.Go(func() {
			l := &lane{env: env, totals: t, random: env.Rand(uint64(i)), dir: dir}
			if errs[i] = l.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wait.Wait()
	var figures proof.Figures
	figures.Add("rounds", env.Scale(500, 10_000))
	figures.Add("kills", t.kills.Load())
	figures.Add("killed_while_opening", t.early.Load())
	figures.Add("commits_acknowledged", t.acked.Load())
	figures.Add("commits_in_flight_that_landed", t.landed.Load())
	figures.Add("events", t.events.Load())
	figures.Add("packs", t.packs.Load())
	figures.Add("events_followed", t.followed.Load())
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return figures, err
		}
	}
	if err := errors.Join(errs...); err != nil {
		return figures, err
	}
	if t.acked.Load() < t.kills.Load() || t.followed.Load() < t.kills.Load() || t.packs.Load() == 0 {
		return figures, errors.New("hardly anything was written or seen; nothing is proved")
	}
	return figures, nil
}

// totals are counted over all lanes.
type totals struct {
	left                                                 atomic.Int64 // rounds still to do
	kills, early, acked, landed, events, packs, followed atomic.Int64
}

// lane kills processes on one file after another.
type lane struct {
	env    *proof.Env
	totals *totals
	random *rand.Rand
	dir    string
	path   string
	ledger *ledger
}

func (l *lane) run(ctx context.Context) error {
	for round := 0; l.totals.left.Add(-1) >= 0; round++ {
		if round%fileRounds == 0 {
			if err := l.newFile(round / fileRounds); err != nil {
				return err
			}
		}
		if err := l.round(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return l.keep(fmt.Errorf("round %d: %w", round, err))
		}
	}
	return l.count()
}

// newFile continues with a new file.
func (l *lane) newFile(number int) error {
	if err := l.count(); err != nil {
		return err
	}
	dir := filepath.Join(l.dir, fmt.Sprint("log-", number))
	if l.path != "" {
		if err := os.RemoveAll(filepath.Dir(l.path)); err != nil {
			return err
		}
	}
	l.path, l.ledger = filepath.Join(dir, "log.yore"), &ledger{}
	return os.Mkdir(dir, 0o700)
}

// count counts the content of the file.
func (l *lane) count() error {
	if l.ledger == nil || len(l.ledger.Known) == 0 {
		return nil
	}
	n, err := packs.Count(l.path)
	l.totals.events.Add(int64(len(l.ledger.Known)))
	l.totals.packs.Add(int64(n))
	return err
}

// round runs the process, kills it, and checks the file. Sometimes it starts and
// kills the process again first, so that the process meets the file as a kill left
// it.
func (l *lane) round(ctx context.Context) error {
	for again := true; again; again = l.random.IntN(3) == 0 {
		if err := l.kill(ctx); err != nil {
			return err
		}
	}
	if _, err := os.Stat(l.path); errors.Is(err, os.ErrNotExist) {
		return nil // killed before it made a file, so nothing was acknowledged
	}
	acked := l.heard()
	for _, runs := range l.ledger.Follows {
		for _, f := range runs {
			l.totals.followed.Add(int64(len(f.Saw)))
		}
	}
	options := &boltstore.Options{ReadOnly: l.random.IntN(2) == 0, LockTimeout: 10 * time.Second}
	store, err := boltstore.Open(l.path, options)
	if errors.Is(err, eventstore.ErrReadOnly) { // the index must be brought up to date first
		options.ReadOnly = false
		store, err = boltstore.Open(l.path, options)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(l.ledger.check(ctx, store), store.Close()); err != nil {
		return err
	}
	l.totals.landed.Add(int64(l.heard() - acked))
	return nil
}

// heard returns the number of commits in the ledger.
func (l *lane) heard() (n int) {
	for _, acked := range l.ledger.Acked {
		n += len(acked)
	}
	return n
}

// kill runs the process until a random moment: sometimes while it opens the file,
// otherwise some time after its first append.
func (l *lane) kill(ctx context.Context) error {
	child, err := l.env.Child(ctx, childName, l.path)
	if err != nil {
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	l.totals.kills.Add(1)
	l.ledger.Kills++
	before, ready := l.heard(), false
	if l.random.IntN(5) == 0 {
		time.AfterFunc(time.Duration(l.random.IntN(15_000))*time.Microsecond, func() { _ = child.Process.Kill() })
	}
	delay := time.Duration(l.random.IntN(40_000)) * time.Microsecond
	err = l.listen(out, func() {
		ready = true
		time.AfterFunc(delay, func() { _ = child.Process.Kill() })
	})
	if err != nil {
		_ = child.Process.Kill()
		_ = child.Wait()
		return err
	}
	if err := child.Wait(); child.ProcessState.Exited() {
		return fmt.Errorf("the process ended before it was killed: %w", err)
	}
	if !ready {
		l.totals.early.Add(1)
	}
	l.totals.acked.Add(int64(l.heard() - before))
	return nil
}

// listen notes the lines that the process prints. A line without a newline is
// ignored.
func (l *lane) listen(out io.Reader, onReady func()) error {
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.ledger.hear(line[:len(line)-1]); err != nil {
			return err
		}
		if line == "ready\n" {
			onReady()
		}
	}
}

const keptFile = "log.yore"

func (l *lane) keep(failed error) error {
	content, err := os.ReadFile(l.path)
	if err != nil {
		return errors.Join(failed, err)
	}
	return l.env.Keep(failed, l.ledger, map[string][]byte{keptFile: content})
}

// replay checks a kept file with its ledger again.
func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, dir string) error {
	var l ledger
	if err := json.Unmarshal(kept, &l); err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return err
	}
	path := filepath.Join(env.Scratch, keptFile)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	store, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	return errors.Join(l.check(ctx, store), store.Close())
}
