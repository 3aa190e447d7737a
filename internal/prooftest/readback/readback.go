// Package readback proves that what is written can be read back (I17), and that a command id
// carries out one command (I18). It puts types and values into events, rows and snapshots that
// JSON cannot keep: each is refused before it is written, or is read as it was written, and an
// index finds what is in its rows. It sends other commands under an id on every path, and has
// functions of an application that are not pure.
package readback

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  "read-back",
		About: "types and values that JSON cannot keep, in events, rows and snapshots; other commands under one id: refused, or read as written",
		Run:   run,
	}
}

// testCase is one of the cases.
type testCase struct {
	name string
	run  func(ctx context.Context, random *rand.Rand, rounds int) error
}

func cases() []testCase { return slices.Concat(typeCases(), valueCases(), commandCases(), pureCases()) }

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	all := cases()
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	rounds := env.Scale(100, 500)
	patience := time.Duration(env.Scale(10, 60)) * time.Second // a case that hangs takes longer
	figures, err := trial.InOrder(env, names, func(i int, _ string) error {
		return try(ctx, all[i], env.Rand(uint64(i)), rounds, patience)
	})
	figures.Add("rounds", rounds)
	return figures, err
}

// try runs a case on a goroutine of its own, and gives up if the case hangs.
func try(ctx context.Context, c testCase, random *rand.Rand, rounds int, patience time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		ended <- c.run(ctx, random, rounds)
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		return fmt.Errorf("it hangs, for %v already", patience)
	}
}

// said is the text of an error, or that there is none.
func said(err error) string { return fmt.Sprint(err) }

// panics reports whether a function panics.
func panics(call func()) (did bool) {
	defer func() { did = recover() != nil }()
	call()
	return false
}
