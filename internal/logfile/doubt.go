package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// # The note of doubt
//
// Problem. After a sync has failed, Linux counts the pages as clean although the disk
// does not have them: a later sync, in any process, does nothing. The page cache then
// shows a newest meta page, of a transaction that was not acknowledged, which the disk
// does not have. If the file were used further, the next transactions would overwrite
// pages that the disk's own, older meta page still leads to.
//
// Invariant. Before a file is written, its newest meta page is on the disk.
//
// Steps. A store whose commit ends like that takes no more changes and leaves a note
// beside the file ([File.Doubt]). The next Open for writing finds the note, writes the
// newest meta page again, with the same bytes, so that the page is dirty, syncs, and
// removes the note. bbolt has synced the pages that a meta page leads to before it
// writes the meta page. The note need not be durable: a crash that loses it also loses
// the page cache, and with it the doubt.
//
// The note is a regular file that did not exist before. Only a regular file
// with a note's text is one: Open ignores anything else in its place, and Doubt moves it aside. So nothing is ever
// written through a link.
//
// Rejected. To write the page at each Open: without a note, it may be the page of the
// last acknowledged transaction, and a loss of power during that write could destroy
// it.

const (
	// doubtSuffix is appended to the name of the file to name the note.
	doubtSuffix = ".doubt"
	// asideSuffix is appended to the name of the note to name what was in its place.
	asideSuffix = ".aside"
	// noteBegin is how the text of a note begins.
	noteBegin = "A write to "
)

func (f *File) notePath() string { return beside(f.Path, doubtSuffix) }

// Doubt leaves the note.
func (f *File) Doubt() error {
	text := fmt.Sprintf(noteBegin+"%s could not be synced, so it is not known what the disk has of it.\n"+
		"When Yore next opens the file for writing, it repairs this and removes the note. Do not remove the note before.\n", filepath.Base(f.Path))
	for range 3 {
		note, err := os.OpenFile(f.notePath(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Info.Mode().Perm()|0o200) // O_EXCL follows no link
		if err == nil {
			_, err = note.WriteString(text)
			return errors.Join(err, note.Close())
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if doubted, err := f.doubted(); doubted || err != nil {
			return err
		}
		if err := f.moveAside(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("leave a note of the doubt: %w", err)
		}
	}
	return fmt.Errorf("leave a note of the doubt: %w: %s", fs.ErrExist, f.notePath())
}

// moveAside renames what is in the place of the note.
func (f *File) moveAside() error {
	for n := 1; ; n++ {
		aside := beside(f.Path, fmt.Sprint(doubtSuffix, asideSuffix, "-", n))
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(f.notePath(), aside)
		} else if err != nil || n == 1000 {
			return errors.Join(err, fs.ErrExist)
		}
	}
}

// doubted reports whether there is a note. A shorter one is of a process that was killed
// when it made the note.
func (f *File) doubted() (bool, error) {
	info, err := os.Lstat(f.notePath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	note, err := os.Open(f.notePath())
	if err != nil {
		return false, err
	}
	defer func() { _ = note.Close() }() // only read
	begin := make([]byte, len(noteBegin))
	n, err := io.ReadFull(note, begin)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return err == nil && strings.HasPrefix(noteBegin, string(begin[:n])), err
}

// endDoubt writes the newest meta page again, unchanged, and removes the note.
func (f *File) endDoubt(db *DB) error {
	offset := int64(f.Found.TxID%2) * int64(f.Found.PageSize)
	page := make([]byte, f.Found.PageSize)
	if _, err := f.OS.ReadAt(page, offset); err != nil {
		return err
	}
	if _, err := f.OS.WriteAt(page, offset); err != nil {
		return err
	}
	if err := f.sync(db); err != nil {
		return err
	}
	return os.Remove(f.notePath())
}
