// Package straceio is the second source of traces, for machines without FUSE. It
// runs a workload under strace, in a directory of any file system, and makes of the
// system calls the trace that package simfs explores.
//
// The trace is that of a recording disk if a file has one writer at a time, as
// bbolt's has: calls are taken in the order in which they returned, and what a
// process does after a call's return comes after it in the log too. The package
// knows the calls that this project makes; any other call on a file of the directory
// is an error.
package straceio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// ErrUnavailable means that strace cannot make traces on this machine.
var ErrUnavailable = errors.New("no strace here")

// Available returns an error that matches [ErrUnavailable] if strace is missing or
// may not trace.
func Available(ctx context.Context) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if out, err := exec.CommandContext(ctx, "strace", "-o", os.DevNull, "-e", "trace=none", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %w: %s", ErrUnavailable, err, out)
	}
	return nil
}

// Options are options of Run.
type Options struct {
	// Inject makes system calls fail, in the syntax of strace's option -e inject=,
	// such as "fdatasync:error=EIO:when=3". Calls are counted for each thread of the
	// process.
	Inject []string
	// Output is the path of strace's log; empty means a temporary file beside the
	// directory.
	Output string
}

// traced are the system calls that change files or names or make file descriptors.
const traced = "open,openat,openat2,creat,close,dup,dup2,dup3,fcntl,lseek," +
	"write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice," +
	"fsync,fdatasync,sync_file_range,sync,syncfs,msync," +
	"link,linkat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,mkdir,mkdirat,rmdir"

// Run runs a command that works on the files of a directory, and returns the trace.
// Everything in the directory before is durable. If the error is the command's, the trace
// is complete all the same.
func Run(ctx context.Context, cmd *exec.Cmd, dir string, o Options) (simfs.Trace, error) {
	base, err := readDisk(dir)
	if err != nil {
		return simfs.Trace{}, err
	}
	log := o.Output
	if log == "" {
		log = strings.TrimSuffix(dir, "/") + ".strace"
		defer func() { _ = os.Remove(log) }()
	}
	args := []string{"-f", "--seccomp-bpf", "-xx", "-s", "134217728", "-e", "signal=none", "-e", "trace=" + traced, "-o", log}
	for _, inject := range o.Inject {
		args = append(args, "-e", "inject="+inject)
	}
	under := exec.CommandContext(ctx, "strace", append(append(args, "--"), cmd.Args...)...)
	under.Env, under.Dir, under.Stdin = cmd.Env, cmd.Dir, cmd.Stdin
	output, runErr := under.CombinedOutput()
	if runErr != nil {
		runErr = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), runErr, output)
	}
	file, err := os.Open(log)
	if err != nil {
		return simfs.Trace{}, errors.Join(runErr, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	trace, err := Parse(file, dir, base)
	return trace, errors.Join(runErr, err)
}

// readDisk reads the files of a directory.
func readDisk(dir string) (simfs.Disk, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	disk := make(simfs.Disk)
	for _, entry := range entries {
		if entry.Name() == simfs.MarksName {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		size := int64(len(data))
		disk[entry.Name()] = simfs.File{Size: size, Data: bytes.Clone(bytes.TrimRight(data, "\x00"))} // most of a file may be a hole
	}
	return disk, nil
}
