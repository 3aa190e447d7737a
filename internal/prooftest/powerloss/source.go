package powerloss

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// source runs workloads and returns their traces. It is safe for concurrent use by
// multiple goroutines.
type source interface {
	name() string
	run(ctx context.Context, disk, scenario string, p workload.Params, base simfs.Disk) (simfs.Trace, error)
	close() error
}

// sourceVariable is the environment variable that chooses the source of traces: fuse
// or strace. Without it, the first available one is used.
const sourceVariable = "YORE_PROOF_SOURCE"

// newSource returns the available source.
func newSource(ctx context.Context, env *proof.Env) (source, error) {
	chosen := os.Getenv(sourceVariable)
	var missing error
	if chosen != "strace" {
		m, err := simfs.Mount(env.Scratch)
		if err == nil {
			return &fuseSource{env, m}, nil
		}
		if missing = err; chosen == "fuse" || !errors.Is(err, simfs.ErrUnavailable) {
			return nil, err
		}
	}
	s, err := newStraceSource(ctx, env)
	if err != nil {
		return nil, errors.Join(missing, err)
	}
	return s, nil
}

// fuseSource is the recording file system.
type fuseSource struct {
	env     *proof.Env
	mounted *simfs.Mounted
}

// syncTime is how long a transaction stays in the page cache only. It is long enough
// for a wrong reader to see it.
const syncTime = 200 * time.Microsecond

func (f *fuseSource) name() string { return "fuse" }

func (f *fuseSource) close() error { return f.mounted.Close() }

func (f *fuseSource) run(ctx context.Context, disk, scenario string, p workload.Params, base simfs.Disk) (simfs.Trace, error) {
	recorder, err := f.mounted.NewDisk(disk, base)
	if err != nil {
		return simfs.Trace{}, err
	}
	defer recorder.Discard()
	recorder.Slow(simfs.SyncMeta, syncTime)
	cmd, err := workload.Command(ctx, f.env, scenario, recorder.Dir(), p)
	if err != nil {
		return simfs.Trace{}, err
	}
	output, err := cmd.Output()
	if err != nil {
		return simfs.Trace{}, errors.Join(fmt.Errorf("workload %s: %w: %s", scenario, err, output))
	}
	return recorder.Trace(), nil
}
