package paths

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func nameCases() []testCase {
	return []testCase{
		{name: "names of every length", run: lengths},
		{name: "names with special characters", run: func(ctx context.Context, dir string) error {
			for _, name := range []string{"*", "lo*g[1]?", "-rf", "a b\n", "log.new-0123456789abcdef", "日本", "\xff\xfe"} {
				if err := everyTool(ctx, filepath.Join(dir, name)); err != nil {
					return fmt.Errorf("%q: %w", name, err)
				}
			}
			return nil
		}},
	}
}

func lengths(ctx context.Context, dir string) error {
	for n := 1; n <= 255; n++ {
		if n > 20 && n < 100 || n > 120 && n < 230 && n%10 > 0 {
			continue
		}
		path := filepath.Join(dir, strings.Repeat("n", n))
		if err := everyTool(ctx, path); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := errors.Join(doubt(path), wantEvents(ctx, 4, path), os.Remove(path), wantNames(dir)); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	return nil
}

// everyTool makes the file at path in each way. The log has three events at the end.
func everyTool(ctx context.Context, path string) error {
	if err := wantEvents(ctx, 1, path, path); err != nil {
		return err
	}
	backup, err := backUp(ctx, path)
	if err != nil {
		return err
	}
	_, compactErr := boltstore.Compact(ctx, path, nil)
	_, reindexErr := boltstore.Reindex(ctx, path, nil)
	_, restoreErr := boltstore.Restore(ctx, path, &boltstore.RestoreOptions{Replace: true}, backup)
	if err := errors.Join(compactErr, reindexErr, restoreErr); err != nil {
		return err
	}
	damaged := filepath.Join(filepath.Dir(filepath.Dir(path)), "damaged")
	if err := os.Rename(path, damaged); err != nil {
		return err
	}
	_, err = boltstore.Salvage(ctx, damaged, path, nil)
	return errors.Join(err, os.Remove(damaged), wantEvents(ctx, 3, path))
}

func leftoverCases() []testCase {
	return []testCase{
		{name: "a file left by a killed compaction", run: killedCompaction},
		{name: "files that others are making", run: heldByOthers},
		{name: "many openers of a new log", run: manyOpeners},
	}
}

// killedCompaction kills a compaction and opens the log.
func killedCompaction(ctx context.Context, dir string) error {
	path := filepath.Join(dir, strings.Repeat("l", 250))
	keep := []string{path[:len(path)-1] + "m.new-1", filepath.Join(dir, "log.new-12345"), filepath.Join(dir, "other")}
	if err := wantEvents(ctx, 1, path, path); err != nil {
		return err
	}
	for _, other := range keep {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(other)[:min(250, len(filepath.Base(other)))]), nil, 0o600); err != nil {
			return err
		}
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-child", killedName, path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = out.Read(make([]byte, 1)) // it is in the middle of its work
	err = errors.Join(err, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	if err != nil {
		return err
	}
	during, err := os.ReadDir(dir)
	if err != nil || len(during) != len(before)+1 {
		return fmt.Errorf("the compaction left no file: %w", err)
	}
	var names []string
	for _, e := range before {
		names = append(names, e.Name())
	}
	return errors.Join(wantEvents(ctx, 3, path), wantNames(dir, names...))
}

// compactForEver is a compaction that says when it works, and does not end.
func compactForEver(ctx context.Context, args []string) error {
	_, err := boltstore.Compact(ctx, args[0], &boltstore.CompactOptions{Progress: func(eventstore.Progress) {
		fmt.Print("x")
		time.Sleep(time.Hour)
	}})
	return err
}

// slowReader says when it is read first, and then waits.
type slowReader struct{ began, goOn chan struct{} }

func (r *slowReader) Read([]byte) (int, error) {
	close(r.began)
	<-r.goOn
	return 0, errors.New("the backup ends here")
}

// heldByOthers opens a log while another process makes a file for the same name.
func heldByOthers(ctx context.Context, dir string) error {
	path := filepath.Join(dir, "log")
	if err := wantEvents(ctx, 1, path); err != nil {
		return err
	}
	whole, err := backUp(ctx, path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	r := &slowReader{make(chan struct{}), make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		_, err := boltstore.Restore(ctx, path, nil, &pausing{head: whole.Bytes()[:whole.Len()-1], then: r, last: whole.Bytes()[whole.Len()-1:]})
		done <- err
	}()
	<-r.began
	err = wantEvents(ctx, 1, path, path)
	entries, readErr := os.ReadDir(dir)
	close(r.goOn)
	restored := <-done
	switch {
	case err != nil || readErr != nil:
		return errors.Join(err, readErr)
	case len(entries) != 2:
		return errors.New("the file that a process was making was removed")
	case !errors.Is(restored, fs.ErrExist):
		return fmt.Errorf("restore: %w", restored)
	}
	return errors.Join(wantEvents(ctx, 3, path), wantNames(dir, "log"))
}

// pausing reads head, waits, and reads the last byte.
type pausing struct {
	head, last []byte
	then       *slowReader
}

func (p *pausing) Read(b []byte) (int, error) {
	if len(p.head) > 0 {
		n := copy(b, p.head)
		p.head = p.head[n:]
		return n, nil
	}
	if p.then != nil {
		_, _ = p.then.Read(nil) // only waits
		p.then = nil
	}
	n := copy(b, p.last)
	p.last = p.last[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func manyOpeners(ctx context.Context, dir string) error {
	for i := range 12 {
		path := filepath.Join(dir, fmt.Sprint("log-", i))
		errs := make([]error, 8)
		var all sync.WaitGroup
		for n := range errs {
			all.Go(func() { _, errs[n] = appendTo(ctx, path, &boltstore.Options{LockTimeout: 20 * time.Second}) })
		}
		all.Wait()
		if err := errors.Join(append(errs, wantEvents(ctx, len(errs)+1, path), os.Remove(path), wantNames(dir))...); err != nil {
			return err
		}
	}
	return nil
}
