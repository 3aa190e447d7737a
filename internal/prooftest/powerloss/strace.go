package powerloss

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/straceio"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// straceSource runs workloads on an ordinary file system and makes traces of their
// system calls. It is for machines without FUSE.
type straceSource struct {
	env *proof.Env
}

// newStraceSource returns the source, or an error that matches
// [straceio.ErrUnavailable].
func newStraceSource(ctx context.Context, env *proof.Env) (source, error) {
	if err := straceio.Available(ctx); err != nil {
		return nil, err
	}
	return &straceSource{env}, nil
}

func (s *straceSource) name() string { return "strace" }

func (s *straceSource) close() error { return nil }

func (s *straceSource) run(ctx context.Context, disk, scenario string, p workload.Params, base simfs.Disk) (_ simfs.Trace, err error) {
	dir := filepath.Join(s.env.Scratch, "strace-"+disk)
	if err := base.WriteTo(dir); err != nil {
		return simfs.Trace{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd, err := workload.Command(ctx, s.env, scenario, dir, p)
	if err != nil {
		return simfs.Trace{}, err
	}
	trace, err := straceio.Run(ctx, cmd, dir, straceio.Options{})
	if err != nil {
		return simfs.Trace{}, fmt.Errorf("workload %s: %w", scenario, err)
	}
	return trace, nil
}
