//go:build linux

package ext4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

const (
	imageName = "disk.img"
	imageSize = 12 << 20
)

// makeFileSystem returns a disk with a new ext4 in a file.
func makeFileSystem(ctx context.Context, env *proof.Env) (simfs.Disk, error) {
	path := filepath.Join(env.Scratch, imageName)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, imageSize)); err != nil {
		return nil, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-b", "4096", "-J", "size=4", "-N", "64", "-m", "0", "-E", "nodiscard,lazy_itable_init=0", path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	return simfs.Disk{imageName: {Size: imageSize, Data: bytes.TrimRight(data, "\x00")}}, err
}

// trace runs a workload on the file system in a file on a recording disk, and
// returns what the file system wrote. The commands that use the disk are other
// processes, since this one serves it.
func trace(ctx context.Context, env *proof.Env, m *simfs.Mounted, base simfs.Disk, number int, scenario string, p workload.Params) (_ simfs.Trace, err error) {
	recorder, err := m.NewDisk(fmt.Sprint("ext4-", number), base)
	if err != nil {
		return simfs.Trace{}, err
	}
	defer recorder.Discard()
	dir := filepath.Join(env.Scratch, fmt.Sprint("traced-", number))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return simfs.Trace{}, err
	}
	if err := command(ctx, "mount", "-o", "loop,noatime", filepath.Join(recorder.Dir(), imageName), dir); err != nil {
		return simfs.Trace{}, err
	}
	defer func() { err = errors.Join(err, command(context.WithoutCancel(ctx), "umount", dir)) }()
	// The marks must be ordered with what the file system writes, but not be part of
	// it.
	if err := command(ctx, "ln", "-s", filepath.Join(recorder.Dir(), simfs.MarksName), filepath.Join(dir, simfs.MarksName)); err != nil {
		return simfs.Trace{}, err
	}
	cmd, err := workload.Command(ctx, env, scenario, dir, p)
	if err != nil {
		return simfs.Trace{}, err
	}
	if output, err := cmd.Output(); err != nil {
		return simfs.Trace{}, fmt.Errorf("workload %s: %w: %s", scenario, err, output)
	}
	return recorder.Trace(), nil
}

// files returns the files of a mounted file system, except its own.
func files(dir string) (simfs.Disk, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	disk := make(simfs.Disk)
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoFileSystem, err)
		}
		disk[entry.Name()] = simfs.File{Size: int64(len(data)), Data: bytes.TrimRight(data, "\x00")}
	}
	return disk, nil
}

func command(ctx context.Context, name string, args ...string) error {
	if output, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(output)))
	}
	return nil
}
