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

func linkCases() []testCase {
	list := []testCase{
		{name: "links to a file and to its directory", run: links},
		{name: "the note of doubt through a link", run: noteThroughLink},
		{name: "a link to nothing", run: linkToNothing},
		{name: "a link that leads elsewhere while the log is open", run: linkMoved},
	}
	for name, plant := range map[string]func(victim, note string) error{
		"link":          os.Symlink,
		"dangling link": func(victim, note string) error { return os.Symlink(victim+".none", note) },
		"hard link":     os.Link,
		"directory":     func(_, note string) error { return os.MkdirAll(filepath.Join(note, "full"), 0o700) },
		"pipe":          func(_, note string) error { return syscall.Mkfifo(note, 0o600) },
	} {
		list = append(list, testCase{name: "a planted note: " + name, run: func(ctx context.Context, dir string) error { return planted(ctx, dir, plant) }})
	}
	return list
}

// makeLinks makes a log and links to it, and returns their paths.
func makeLinks(dir string) (paths []string, err error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	err = errors.Join(
		os.MkdirAll(in("real/deep"), 0o700), os.Symlink("real", in("dir")), os.Symlink(in("dir/deep/log"), in("link")),
		os.Symlink("link", in("second")), os.Symlink("../second", in("real/third")),
	)
	return []string{in("real/deep/log"), in("dir/deep/log"), in("link"), in("second"), in("dir/third")}, err
}

func links(ctx context.Context, dir string) error {
	paths, err := makeLinks(dir)
	if err != nil {
		return err
	}
	if err := wantEvents(ctx, 1, paths[1], paths[0], paths[1], paths[2], paths[3], paths[4]); err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := boltstore.Compact(ctx, path, nil); err != nil {
			return err
		}
	}
	return errors.Join(
		wantEvents(ctx, 7, paths...), wantNames(filepath.Join(dir, "real/deep"), "log"),
		wantNames(dir, "dir", "link", "real", "second"), wantNames(filepath.Join(dir, "real"), "deep", "third"),
	)
}

func noteThroughLink(ctx context.Context, dir string) error {
	paths, err := makeLinks(dir)
	if err != nil {
		return err
	}
	if err := wantEvents(ctx, 1, paths[0]); err != nil {
		return err
	}
	for _, path := range paths {
		if err := errors.Join(doubt(path), wantNames(filepath.Join(dir, "real/deep"), "log", "log.doubt")); err != nil {
			return err
		}
		s, err := boltstore.Open(paths[0], nil)
		if err != nil {
			return err
		}
		if err := errors.Join(s.Close(), wantNames(filepath.Join(dir, "real/deep"), "log")); err != nil {
			return err
		}
	}
	return nil
}

func linkToNothing(_ context.Context, dir string) error {
	path := filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "target"), 0o700), os.Symlink("target/log", path)); err != nil {
		return err
	}
	for _, readOnly := range []bool{false, true} {
		s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
		if err == nil {
			return errors.Join(errors.New("it was opened"), s.Close())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(wantNames(dir, "link", "target"), wantNames(filepath.Join(dir, "target")))
}

func linkMoved(ctx context.Context, dir string) error {
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(wantEvents(ctx, 1, in("one"), in("one")), wantEvents(ctx, 1, in("two")), os.Symlink("one", in("link"))); err != nil {
		return err
	}
	s, err := boltstore.Open(in("link"), nil)
	if err != nil {
		return err
	}
	err = errors.Join(os.Remove(in("link")), os.Symlink("two", in("link")))
	if err == nil {
		_, err = appendOne(ctx, s)
	}
	return errors.Join(err, s.Close(), wantEvents(ctx, 4, in("one")), wantEvents(ctx, 2, in("link")))
}

// planted has something in the place of the note.
func planted(ctx context.Context, dir string, plant func(victim, note string) error) error {
	const content = "precious"
	path, victim := filepath.Join(dir, "log"), filepath.Join(dir, "victim")
	if err := errors.Join(wantEvents(ctx, 1, path), os.WriteFile(victim, []byte(content), 0o600), plant(victim, path+".doubt")); err != nil {
		return err
	}
	if err := errors.Join(doubt(path), wantEvents(ctx, 2, path), doubt(path), wantEvents(ctx, 3, path)); err != nil {
		return err
	}
	found, err := os.ReadFile(victim)
	if err != nil || string(found) != content {
		return fmt.Errorf("the other file has %q now: %w", found, err)
	}
	if _, err := os.Lstat(victim + ".none"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("a file was made through the link: %w", err)
	}
	return nil
}
