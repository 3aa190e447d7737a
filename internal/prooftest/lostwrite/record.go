package lostwrite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/internal/prooftest/layout"
	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// moment is the file after a step of the workload, which is mostly one transaction.
type moment struct {
	transaction uint64
	state       sample.State
	content     []byte
	pages       []layout.Page // those that the newest meta page leads to, and free ones
}

// recording is the history of a file: its content after each step. Pages that do not
// change share no memory, which for files of half a megabyte does not matter.
type recording struct {
	known   *sample.Sample
	moments []moment
	// other is the final file of another log with the same names and sizes, and others its
	// pages.
	other  []byte
	others []layout.Page
}

// reopenEach is the number of commits after which the log is closed and opened again.
const reopenEach = 23

// record makes a sample in dir and records its file, and makes another log.
func record(ctx context.Context, env *proof.Env, dir string, indexed bool) (*recording, error) {
	r := &recording{}
	path := filepath.Join(env.Scratch, "building.yore") // as in sample.New
	b := sample.Build{Seed: env.Seed, Indexed: indexed, Reopen: reopenEach,
		Each: func(state sample.State) error { return r.note(path, state) }}
	var err error
	if r.known, err = sample.New(ctx, env.Scratch, dir, b); err != nil {
		return nil, err
	}
	b.Each, b.Content = func(sample.State) error { return nil }, 1
	other := filepath.Join(env.Scratch, "other.yore")
	if _, err := b.In(ctx, other); err != nil {
		return nil, err
	}
	if r.other, err = os.ReadFile(other); err != nil {
		return nil, err
	}
	if r.others, err = layout.Pages(r.other[:used(r.other)]); err != nil {
		return nil, err
	}
	return r, os.Remove(other)
}

// last returns the final moment.
func (r *recording) last() *moment { return &r.moments[len(r.moments)-1] }

// note adds a moment, unless nothing was written since the one before it.
func (r *recording) note(path string, state sample.State) error {
	content, err := settled(path)
	if err != nil {
		return err
	}
	_, transaction := layout.Newest(content)
	if n := len(r.moments); n > 0 && r.moments[n-1].transaction == transaction {
		r.moments[n-1].state = state
		return nil
	}
	pages, err := layout.Pages(content)
	if err != nil {
		return fmt.Errorf("transaction %d: %w", transaction, err)
	}
	r.moments = append(r.moments, moment{transaction, state, content, pages})
	return nil
}

// settled reads a file between two transactions of its store, which may write its index
// at any time.
func settled(path string) ([]byte, error) {
	before, err := os.ReadFile(path)
	for err == nil {
		var after []byte
		if after, err = os.ReadFile(path); err == nil && bytes.Equal(before, after) {
			return before[:used(before)], nil
		}
		before = after
	}
	return nil, err
}

// used returns the size of a file without the zeros at its end, in whole pages.
func used(content []byte) int {
	n := len(bytes.TrimRight(content, "\x00"))
	page := os.Getpagesize()
	return min((n+page-1)/page*page, len(content))
}
