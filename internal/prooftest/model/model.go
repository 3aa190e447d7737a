// Package model proves that the store answers as an oracle does. Random sequences of
// calls are made to a boltstore and to a memstore, which does the same by brute
// force, with the same clock and ids. Every answer and every fact in an error must
// be equal. The sequences include closing, also during a call, opening again, and
// the operator's tools. Package storetest has a model test for any store; this one
// is longer and covers what only a file can do.
//
// A sequence is a script of steps that are complete in themselves. A failing script is
// shortened while it still fails, and kept; a replay runs it.
package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/prooftest/packs"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const (
	steps       = 150              // of a sequence
	shortenTime = 20 * time.Second // to shorten a failing script

	// sequencesVariable is the environment variable for the number of sequences,
	// which overrides the table and allows little time to shorten a script. It is
	// for stores that are broken on purpose.
	sequencesVariable = "YORE_PROOF_SEQUENCES"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:   "model",
		About:  "random sequences of all calls, across reopening and the operator's tools, answered as by the oracle",
		Run:    run,
		Replay: replay,
	}
}

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wanted := env.Scale(2_000, 100_000)
	if n, err := strconv.Atoi(os.Getenv(sequencesVariable)); err == nil {
		wanted = n
	}
	var mu sync.Mutex
	done, packed := make(map[string]int), 0
	var failed error
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for number := range numbers {
				script, inLog, err := sequence(ctx, env, number)
				mu.Lock()
				if ctx.Err() != nil {
					mu.Unlock()
					return // another sequence has failed, or the run is cancelled
				}
				packed += inLog
				for _, s := range script {
					done[s.Do]++
				}
				if err != nil {
					failed = keep(ctx, env, number, script, err)
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	sequences := 0
	for ; sequences < wanted && ctx.Err() == nil; sequences++ {
		select {
		case numbers <- sequences:
		case <-ctx.Done():
		}
	}
	close(numbers)
	workers.Wait()
	if failed == nil && ctx.Err() != nil {
		failed = ctx.Err()
	}
	if failed == nil && packed == 0 {
		failed = errors.New("no log had packs; nothing is proved of them")
	}
	return figures(sequences, done, packed), failed
}

func figures(sequences int, done map[string]int, packed int) proof.Figures {
	total := 0
	for _, n := range done {
		total += n
	}
	f := proof.Figures{{Name: "sequences", Value: sequences}, {Name: "steps", Value: total}}
	for _, name := range []string{doReopen, doCloseInRead, doCallClosed, doCompact, doRebuild, doBackup, doRestore, doSalvage, doImport, doVerify} {
		f.Add(strings.ReplaceAll(name, " ", "_"), done[name])
	}
	f.Add("packs", packed)
	return f
}

// sequence makes and runs a script. It returns its steps, and the number of packs in
// the log at the end.
func sequence(ctx context.Context, env *proof.Env, number int) (script []step, packed int, err error) {
	err = withPair(ctx, env, func(p *pair) error {
		g := newGenerator(env.Rand(uint64(number)), p)
		for range steps {
			s := g.next()
			script = append(script, s)
			if err := p.do(s); err != nil {
				return inStep(len(script), s, err)
			}
			g.learn(p.accepted)
		}
		if err := p.finish(); err != nil {
			return err
		}
		packed, err = packs.Count(p.path)
		return err
	})
	return script, packed, err
}

// perform runs a script.
func perform(ctx context.Context, env *proof.Env, script []step) error {
	return withPair(ctx, env, func(p *pair) error {
		for i, s := range script {
			if err := p.do(s); err != nil {
				return inStep(i+1, s, err)
			}
		}
		return p.finish()
	})
}

func inStep(number int, s step, err error) error {
	return fmt.Errorf("step %d, %.600v: %w", number, s, err)
}

// withPair runs work on two new stores.
func withPair(ctx context.Context, env *proof.Env, work func(*pair) error) (err error) {
	dir, err := os.MkdirTemp(env.Scratch, "model-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newPair(ctx, filepath.Join(dir, "log.db"))
	if err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
		_ = p.close() // already failed or checked
	}()
	return work(p)
}

// keep shortens a failing script and keeps it.
func keep(ctx context.Context, env *proof.Env, number int, script []step, failed error) error {
	end := time.Now().Add(shortenTime)
	if os.Getenv(sequencesVariable) != "" {
		end = time.Now().Add(shortenTime / 10)
	}
	original := len(script)
	for size := len(script) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(script) && time.Now().Before(end); {
			shorter := append(append([]step{}, script[:from]...), script[from+size:]...)
			if err := perform(ctx, env, shorter); err != nil {
				script, failed = shorter, err
			} else {
				from += size
			}
		}
	}
	failed = fmt.Errorf("sequence %d, made shorter from %d steps to %d: %w", number, original, len(script), failed)
	return env.Keep(failed, script, nil)
}

// replay runs a kept script.
func replay(ctx context.Context, env *proof.Env, kept json.RawMessage, _ string) error {
	var script []step
	if err := json.Unmarshal(kept, &script); err != nil {
		return err
	}
	for i, s := range script {
		fmt.Printf("%3d %.300v\n", i+1, s)
	}
	return perform(ctx, env, script)
}
