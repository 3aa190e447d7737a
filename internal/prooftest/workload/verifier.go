package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// Verifier checks images in a process of its own, since a damaged file may crash it
// or make it hang. It must be closed. It is not safe for concurrent use.
type Verifier struct {
	peer peer
	dir  string // for its files

	images, histories int
	history           string // path of the last one
}

// NewVerifier returns a verifier. Its files are in env.Scratch.
func NewVerifier(ctx context.Context, env *proof.Env) (*Verifier, error) {
	dir, err := os.MkdirTemp(env.Scratch, "verify-*")
	if err != nil {
		return nil, err
	}
	return &Verifier{peer: peer{ctx: ctx, env: env, name: verifyChild}, dir: dir}, nil
}

// Close ends the process and removes its files.
func (v *Verifier) Close() error { return errors.Join(v.peer.close(), os.RemoveAll(v.dir)) }

// Begin sets the trace that the next images are from: all its marks, and the parameters of
// the workload's script.
func (v *Verifier) Begin(p Params, marks []string) error {
	content, err := json.Marshal(record{Params: p, Marks: marks})
	if err != nil {
		return err
	}
	v.histories++
	v.history = filepath.Join(v.dir, fmt.Sprint("history-", v.histories))
	return os.WriteFile(v.history, content, 0o600)
}

// record is a history as a file.
type record struct {
	Params Params
	Marks  []string
}

type verifyRequest struct {
	Dir     string
	History string
	Marks   int
}

type verifyAnswer struct {
	Class, Text string   // describes the fault
	Found       []string // marks
}

// Check judges a disk after a number of the marks. The error is a *[Wrong] if the
// disk is wrong. It returns marks with which the history of a workload on this disk
// begins.
func (v *Verifier) Check(disk simfs.Disk, marks int) (found []string, err error) {
	v.images++
	dir := filepath.Join(v.dir, fmt.Sprint("image-", v.images))
	if err := disk.WriteTo(dir); err != nil {
		return nil, err
	}
	var a verifyAnswer
	err = v.peer.ask(verifyRequest{dir, v.history, marks}, &a)
	var died *diedError
	switch {
	case errors.As(err, &died):
		err = &Wrong{Unusable, died.Error()}
	case err == nil && a.Class != "":
		err = &Wrong{a.Class, a.Text}
	}
	return a.Found, errors.Join(err, os.RemoveAll(dir))
}

func verifyMain(ctx context.Context, _ []string) error {
	debug.SetGCPercent(400)
	var p past
	return answer(func(q verifyRequest) (verifyAnswer, error) {
		h, err := p.after(q.History, q.Marks)
		if err != nil {
			return verifyAnswer{}, err
		}
		found, err := Check(ctx, q.Dir, p.script, h)
		a := verifyAnswer{Found: found}
		var wrong *Wrong
		if errors.As(err, &wrong) {
			a.Class, a.Text = wrong.Class, wrong.Text
		} else if err != nil {
			return a, err
		}
		return a, nil
	})
}

// past is the history of a trace, up to some mark.
type past struct {
	name   string // of its file
	script *Script
	marks  []string
	at     int // marks in the history
	*History
}

// after returns the history after a number of marks. It is fast if the number has
// grown since the last call.
func (p *past) after(name string, marks int) (*History, error) {
	if name != p.name {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var r record
		if err := json.Unmarshal(content, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if p.name == "" || p.script.params != r.Params {
			p.script = NewScript(r.Params)
		}
		p.name, p.marks, p.History = name, r.Marks, nil
	}
	if p.History == nil || p.at > marks {
		p.History, p.at = newHistory(), 0
	}
	for ; p.at < marks; p.at++ {
		if err := p.add(p.marks[p.at]); err != nil {
			return nil, fmt.Errorf("mark %q: %w", p.marks[p.at], err)
		}
	}
	return p.History, nil
}
