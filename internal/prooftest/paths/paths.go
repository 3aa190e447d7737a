// Package paths proves that a log works under every name and in every directory that the
// system allows: through symbolic links, with long names, beside planted and left-over
// files, with each umask, and in a directory that may not be read.
package paths

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

const (
	childName  = "paths-case"
	killedName = "paths-killed"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:     "paths",
		About:    "links, long names, planted notes, files left by kills, umasks, closed directories: the log is found, and nothing else is written or removed",
		Run:      run,
		Children: map[string]proof.Child{childName: child, killedName: compactForEver},
	}
}

// testCase is one of the cases. It is run in a process and a directory of its own.
type testCase struct {
	name string
	run  func(ctx context.Context, dir string) error
	weak bool // run it as a user without rights, in a directory that belongs to root
}

func cases() []testCase { return slices.Concat(linkCases(), nameCases(), leftoverCases(), modeCases()) }

// weakUser is the user of the cases without rights.
const weakUser = 65534

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	all := cases()
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return trial.InOrder(env, names, func(i int, dir string) error { return tryCase(ctx, env, all[i], dir) })
}

// tryCase runs a case in a child.
func tryCase(ctx context.Context, env *proof.Env, c testCase, dir string) error {
	if c.weak && os.Getuid() != 0 {
		return fmt.Errorf("%w: it takes root to become somebody else", trial.ErrSkip)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd, err := env.Child(ctx, childName, c.name, dir)
	if err != nil {
		return err
	}
	if c.weak {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: weakUser, Gid: weakUser}}
		if cmd.Path, err = openTo(env, dir); err != nil {
			return err
		}
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return errors.Join(err, ctx.Err(), errors.New(said.String()))
	}
	return nil
}

// openTo opens the way to the directory, and returns the path of a copy of this
// binary that all may execute.
func openTo(env *proof.Env, dir string) (binary string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(env.Disk, "binary")
	return binary, errors.Join(
		os.WriteFile(binary, content, 0o755), os.Chmod(binary, 0o755),
		os.Chmod(env.Disk, 0o711), os.Chmod(env.Scratch, 0o711), os.Chmod(dir, 0o777),
	)
}

func child(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: CASE DIRECTORY")
	}
	all := cases()
	i := slices.IndexFunc(all, func(c testCase) bool { return c.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no case %q", args[0])
	}
	return all[i].run(ctx, args[1])
}
