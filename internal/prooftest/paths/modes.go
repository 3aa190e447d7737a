package paths

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/yore-es/yore/eventstore/boltstore"
)

func modeCases() []testCase {
	list := []testCase{
		{name: "a directory that may not be read", run: closedDirectory, weak: true},
	}
	for _, mask := range []int{0, 0o022, 0o027, 0o077} {
		list = append(list, testCase{name: fmt.Sprintf("umask %03o", mask), run: func(ctx context.Context, dir string) error {
			syscall.Umask(mask)
			return modes(ctx, dir, fs.FileMode(mask))
		}})
	}
	return list
}

// modes makes files under an umask.
func modes(ctx context.Context, dir string, mask fs.FileMode) error {
	path, into := filepath.Join(dir, "log"), filepath.Join(dir, "new")
	for _, mode := range []fs.FileMode{0, 0o600, 0o640, 0o666, 0o660} {
		want := mode &^ mask
		if mode == 0 {
			want = 0o600
		}
		if _, err := appendTo(ctx, path, &boltstore.Options{FileMode: mode}); err != nil {
			return err
		}
		backup, err := backUp(ctx, path)
		if err != nil {
			return err
		}
		_, salvageErr := boltstore.Salvage(ctx, path, into, &boltstore.SalvageOptions{FileMode: mode})
		if err := errors.Join(salvageErr, wantMode(path, want), wantMode(into, want), os.Remove(into)); err != nil {
			return err
		}
		_, restoreErr := boltstore.Restore(ctx, into, &boltstore.RestoreOptions{FileMode: mode}, backup)
		if err := errors.Join(restoreErr, wantMode(into, want)); err != nil {
			return err
		}
		// A file that replaces another has exactly its mode.
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
		_, compactErr := boltstore.Compact(ctx, path, nil)
		if err := errors.Join(compactErr, wantMode(path, 0o666), os.Remove(path), os.Remove(into)); err != nil {
			return err
		}
	}
	return nil
}

func wantMode(path string, want fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode() != want {
		err = fmt.Errorf("%s has the mode %v and should have %v", path, info.Mode(), want)
	}
	return err
}

// closedDirectory uses a log in directories whose names cannot be listed. The case is not
// root's, since root may list them.
func closedDirectory(ctx context.Context, dir string) error {
	for _, mode := range []fs.FileMode{0o111, 0o333} {
		closed := filepath.Join(dir, fmt.Sprint(mode.Perm()))
		path := filepath.Join(closed, "log")
		if err := errors.Join(os.Mkdir(closed, 0o700), wantEvents(ctx, 1, path), os.Chmod(closed, mode)); err != nil {
			return err
		}
		if _, err := os.ReadDir(closed); err == nil {
			return errors.New("the directory can be read")
		}
		if err := wantEvents(ctx, 2, path, path); err != nil {
			return err
		}
		if mode&0o222 == 0 {
			continue // nothing can be made in it
		}
		if err := everyTool(ctx, filepath.Join(closed, "made")); err != nil {
			return err
		}
	}
	return nil
}
