package boltstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// backupParts is a backup taken apart by docs/reference/backup-format.md, without the code
// under test.
type backupParts struct {
	header  []byte   // without its checksum
	records [][]byte // the frames of records, without their checksums
}

func takeApart(t *testing.T, backup []byte) backupParts {
	t.Helper()
	const headerSize = 64
	parts := backupParts{header: backup[:headerSize]}
	require.Equal(t, "yore-bak", string(backup[:8]))
	for rest := backup[headerSize+4:]; len(rest) > 0; {
		size := 5 + int(binary.BigEndian.Uint32(rest[1:]))
		if rest[0] == 'r' {
			parts.records = append(parts.records, rest[:size])
		}
		rest = rest[size+4:]
	}
	require.Equal(t, backup, parts.assemble(), "a backup is not as it is documented")
	return parts
}

// assemble makes a backup with right checksums.
func (p backupParts) assemble() []byte {
	b := withSum(nil, p.header)
	events := uint64(0)
	for _, frame := range p.records {
		b = withSum(b, frame)
		if frame[0] == 'r' {
			events++
		}
	}
	manifest := binary.BigEndian.AppendUint32([]byte{'m'}, 48)
	manifest = binary.BigEndian.AppendUint64(manifest, events)
	manifest = binary.BigEndian.AppendUint64(manifest, uint64(len(b)))
	sum := sha256.Sum256(b)
	return withSum(b, append(manifest, sum[:]...))
}

func withSum(dst, content []byte) []byte {
	return binary.BigEndian.AppendUint32(append(dst, content...), crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
}

// smallBackup returns a backup of a few events.
func smallBackup(t *testing.T) []byte {
	s, _ := fullLog(t, 3)
	content, _ := backUp(t, s, 0)
	return content
}

// requireRefused restores a backup to a path without a log and to one with a log, and requires
// that both fail and change nothing.
func requireRefused(t *testing.T, existing string, existingContent []byte, backup []byte) {
	t.Helper()
	_, err := boltstore.VerifyBackup(t.Context(), bytes.NewReader(backup))
	require.Error(t, err)

	dir := t.TempDir()
	_, err = boltstore.Restore(t.Context(), filepath.Join(dir, "log.yore"), nil, bytes.NewReader(backup))
	require.Error(t, err)
	require.True(t, errors.Is(err, eventstore.ErrCorrupt) || errors.Is(err, eventstore.ErrFormat), "%v", err)
	require.Empty(t, files(t, dir))

	_, again := boltstore.Restore(t.Context(), existing, &boltstore.RestoreOptions{Replace: true}, bytes.NewReader(backup))
	require.Error(t, again)
	require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(existing)))
	now, readErr := os.ReadFile(existing)
	require.NoError(t, readErr)
	require.True(t, bytes.Equal(existingContent, now), "the log that was there was changed")
}

// existingLog makes an empty log and returns its path and content.
func existingLog(t *testing.T) (path string, content []byte) {
	path = logPath(t)
	create(t, path)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return path, content
}

func TestRestore_EveryTruncationIsFound(t *testing.T) {
	backup := smallBackup(t)
	path, content := existingLog(t)
	for n := range backup {
		requireRefused(t, path, content, backup[:n])
	}
}

func TestRestore_EveryChangedByteIsFound(t *testing.T) {
	backup := smallBackup(t)
	path, content := existingLog(t)
	for i := range backup {
		changed := bytes.Clone(backup)
		changed[i] ^= 1 << (i % 8)
		requireRefused(t, path, content, changed)
	}
}

// forgery changes a backup of three commits of three events, which then gets right
// checksums.
type forgery struct {
	change func(*backupParts)
	want   error
	says   string
}

// forgedFrames are frames that cannot be there, or are missing.
var forgedFrames = map[string]forgery{
	"of a newer format": {func(p *backupParts) { p.header[11] = 9 }, eventstore.ErrFormat, "format 9"},
	"with a newer kind of frame": {func(p *backupParts) {
		p.records = append(p.records, []byte{'d', 0, 0, 0, 1, 'x'})
	}, eventstore.ErrFormat, `kind 'd'`},
	"with a frame too short": {func(p *backupParts) {
		p.records = append(p.records, []byte{'r', 0, 0, 0, 1, 'x'})
	}, eventstore.ErrCorrupt, "too short"},
	"without its first record": {func(p *backupParts) {
		p.records = p.records[1:]
	}, eventstore.ErrCorrupt, "position 2: follows position 0, and the positions between are missing"},
	"without its last record": {func(p *backupParts) {
		p.records = p.records[:8]
	}, eventstore.ErrCorrupt, "ends at position 8, and should end at 9"},
	"without its last commit's end": {func(p *backupParts) {
		p.records = p.records[:8]
		binary.BigEndian.PutUint64(p.header[44:], 8)
	}, eventstore.ErrCorrupt, "position 9: the log ends before it, in a commit of 3 events"},
	"with a record twice": {func(p *backupParts) {
		p.records = slices.Insert(p.records, 4, p.records[3])
	}, eventstore.ErrCorrupt, "position 4: follows position 4"},
	"with records exchanged": {func(p *backupParts) {
		p.records[3], p.records[4] = p.records[4], p.records[3]
	}, eventstore.ErrCorrupt, "position 5"},
	"that continues another log": {func(p *backupParts) { p.header[63]++ }, eventstore.ErrInvalid, "continues another log"},
}

// forgedRecords are records that cannot follow each other, or are damaged.
var forgedRecords = map[string]forgery{
	"with a version left out": {func(p *backupParts) {
		later := time.Now().Add(time.Hour) // for the whole commit
		for i := range 2 {
			p.reseal(6+i, eventstore.Version(binary.BigEndian.Uint64(p.records[6+i][15:])), later)
		}
		p.reseal(8, 7, later)
	}, eventstore.ErrCorrupt, `version 7 of stream "cart-2", where version 1 comes next`},
	"with a time going back": {func(p *backupParts) {
		p.reseal(6, 3, time.Unix(0, 0))
	}, eventstore.ErrCorrupt, "before the preceding event"},
	"with a damaged record": {func(p *backupParts) {
		p.records[6][60]++
	}, eventstore.ErrCorrupt, "position 7: the record fails its checksum"},
	"with a commit in another": {func(p *backupParts) {
		p.records = slices.Delete(p.records, 0, 2)
		for i, frame := range p.records {
			version := binary.BigEndian.Uint64(frame[15:])
			record.Seal(frame[13:], 0, 0, 0, eventstore.Version(version), time.Unix(1e9, 0))
			binary.BigEndian.PutUint64(frame[5:], uint64(i+1))
		}
		p.rechain()
		binary.BigEndian.PutUint64(p.header[44:], 7)
	}, eventstore.ErrCorrupt, "position 1: event 2 of a commit of 3, where event 0 of 3 comes next"},
}

// Backups with right checksums that are wrong all the same.
func TestRestore_RefusesWhatCannotBe(t *testing.T) {
	backup := smallBackup(t)
	for _, forgeries := range []map[string]forgery{forgedFrames, forgedRecords} {
		for name, tt := range forgeries {
			t.Run(name, func(t *testing.T) {
				parts := takeApart(t, bytes.Clone(backup))
				tt.change(&parts)
				path := logPath(t)
				_, err := boltstore.Restore(t.Context(), path, nil, bytes.NewReader(parts.assemble()))
				require.ErrorIs(t, err, tt.want)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, path)
				require.Empty(t, files(t, filepath.Dir(path)))
			})
		}
	}
}

func TestRestore_RefusesTheHeaderOfAnotherBackup(t *testing.T) {
	s, _ := fullLog(t, 3)
	first, _ := backUp(t, s, 0)
	second, _ := backUp(t, s, 0) // later
	const header = 68
	require.NotEqual(t, first[:header], second[:header])
	_, err := boltstore.Restore(t.Context(), logPath(t), nil, bytes.NewReader(append(bytes.Clone(first[:header]), second[header:]...)))
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "its manifest")
}

func TestRestore_RefusesBytesBehindTheEnd(t *testing.T) {
	_, err := boltstore.Restore(t.Context(), logPath(t), nil, bytes.NewReader(append(smallBackup(t), 0)))
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "bytes follow the end")
}

// reseal gives the i-th record another version and time, and all records the checksums that
// they then have.
func (p *backupParts) reseal(i int, v eventstore.Version, recorded time.Time) {
	record.Seal(p.records[i][13:], 0, 0, 0, v, recorded)
	p.rechain()
}

// rechain gives all records the checksums that they have at the positions of their frames.
func (p *backupParts) rechain() {
	var chain record.Chain
	for _, frame := range p.records {
		at := eventstore.Position(binary.BigEndian.Uint64(frame[5:]))
		chain = record.Reseal(frame[13:], record.SeedOf(uuid.UUID(p.header[12:28])), chain, at)
	}
}

func TestRestore_BackupsMustContinueEachOther(t *testing.T) {
	s, _ := fullLog(t, 10)
	full, _ := backUp(t, s, 0)
	appendEvents(t, s, "s", 3)
	more, _ := backUp(t, s, 30)
	appendEvents(t, s, "s", 3)
	most, _ := backUp(t, s, 33)
	other, _ := fullLog(t, 11)
	foreign, _ := backUp(t, other, 30)
	path := logPath(t)
	_, err := boltstore.Restore(t.Context(), path, nil, bytes.NewReader(full))
	require.NoError(t, err)
	restored := open(t, path, nil)
	appendEvents(t, restored, "s", 3)
	newer, _ := backUp(t, restored, 30)

	// The same store and epoch, but not the same past: the file was copied.
	parts := takeApart(t, bytes.Clone(newer))
	binary.BigEndian.PutUint64(parts.header[28:], 1)
	parts.header[63]++
	copied := parts.assemble()

	tests := map[string]struct {
		backups [][]byte
		says    string
	}{
		"none":                  {nil, "no backup is given"},
		"no full one":           {[][]byte{more, most}, "the first must be a full one"},
		"the full one last":     {[][]byte{more, full}, "backup 1: invalid: it is an incremental one, after position 30"},
		"one left out":          {[][]byte{full, most}, "begins after position 33, and the one before ends at 30"},
		"exchanged":             {[][]byte{full, most, more}, "backup 2"},
		"two full ones":         {[][]byte{full, full}, "begins after position 0, and the one before ends at 30"},
		"of another store":      {[][]byte{full, foreign}, "it is of store"},
		"of another epoch":      {[][]byte{full, newer}, "and the one before is of store"},
		"of another past":       {[][]byte{full, copied}, "with another event at position 30"},
		"with one given again":  {[][]byte{full, more, more}, "backup 3"},
		"with an incremental 1": {[][]byte{foreign}, "incremental"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			_, err := boltstore.Restore(t.Context(), path, nil, readers(tt.backups...)...)
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, files(t, filepath.Dir(path)))
		})
	}
}

func TestVerifyBackup(t *testing.T) {
	s, _ := fullLog(t, 10)
	full, first := backUp(t, s, 0)
	appendEvents(t, s, "s", 300)
	more, second := backUp(t, s, 30)
	manifest, err := boltstore.VerifyBackup(t.Context(), readers(full, more)...)
	require.NoError(t, err)
	want := second
	want.After, want.Events, want.Bytes = 0, 330, first.Bytes+second.Bytes
	require.Equal(t, want, manifest)

	manifest, err = boltstore.VerifyBackup(t.Context(), readers(more)...)
	require.NoError(t, err)
	want.After, want.Events, want.Bytes = 30, 300, second.Bytes
	require.Equal(t, want, manifest)

	_, err = boltstore.VerifyBackup(t.Context(), readers(more, full)...)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = boltstore.VerifyBackup(t.Context())
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = boltstore.VerifyBackup(ctx, readers(full, more)...)
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzVerifyBackup reads frames with right checksums and any content after the header of a
// whole backup: the result is an error and never a panic.
func FuzzVerifyBackup(f *testing.F) {
	golden, err := os.ReadFile(goldenBackup)
	require.NoError(f, err)
	f.Add(byte('r'), golden[68+5:200], byte('r'), []byte(nil))
	f.Add(byte('m'), []byte{1}, byte('r'), golden[68+5:90])
	f.Fuzz(func(t *testing.T, kind byte, body []byte, kind2 byte, body2 []byte) {
		parts := backupParts{header: golden[:64]}
		for _, frame := range [][]byte{append([]byte{kind, 0, 0, 0, 0}, body...), append([]byte{kind2, 0, 0, 0, 0}, body2...)} {
			binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-5))
			parts.records = append(parts.records, frame)
		}
		_, err := boltstore.VerifyBackup(t.Context(), bytes.NewReader(parts.assemble()))
		require.Error(t, err, "the golden backup has more events than two")
	})
}

func TestRestore_RefusesWhatIsNoBackup(t *testing.T) {
	for _, content := range []string{"", "not a backup", "yore-bad and something more of what is none of ours"} {
		_, err := boltstore.Restore(t.Context(), logPath(t), nil, bytes.NewReader([]byte(content)))
		require.ErrorIs(t, err, eventstore.ErrFormat)
		require.ErrorContains(t, err, "not a backup of a Yore log")
	}
	broken := errors.New("broken pipe")
	_, err := boltstore.Restore(t.Context(), logPath(t), nil, iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = boltstore.Restore(t.Context(), logPath(t), nil, io.MultiReader(bytes.NewReader(smallBackup(t)[:300]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	_, err = boltstore.Restore(t.Context(), "", nil, bytes.NewReader(smallBackup(t)))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestRestore_ReadsInSmallPieces(t *testing.T) {
	path := logPath(t)
	_, err := boltstore.Restore(t.Context(), path, nil, iotest.OneByteReader(bytes.NewReader(smallBackup(t))))
	require.NoError(t, err)
	require.Len(t, all(t, open(t, path, nil)), 9)
}

func TestRestore_ReplacesOnlyWhenAsked(t *testing.T) {
	s, _ := fullLog(t, 10)
	backup, _ := backUp(t, s, 0)
	path := logPath(t)
	create(t, path)
	require.NoError(t, os.Chmod(path, 0o640))

	_, err := boltstore.Restore(t.Context(), path, nil, bytes.NewReader(backup))
	require.ErrorIs(t, err, fs.ErrExist)
	withLog(t, path, func(s *boltstore.Store) { require.Empty(t, all(t, s)) })

	manifest, err := boltstore.Restore(t.Context(), path, &boltstore.RestoreOptions{Replace: true}, bytes.NewReader(backup))
	require.NoError(t, err)
	epoch := manifest.Epoch
	require.Greater(t, epoch, uint64(1))
	require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode(), "the mode was not kept")
	withLog(t, path, func(restored *boltstore.Store) { requireSame(t, s, restored) })

	// Replacing a log of the same store, restored before: the epoch is newer than both.
	link := filepath.Join(t.TempDir(), "link.yore")
	require.NoError(t, os.Symlink(path, link))
	for range 2 {
		manifest, err = boltstore.Restore(t.Context(), link, &boltstore.RestoreOptions{Replace: true, FileMode: 0o600}, bytes.NewReader(backup))
		require.NoError(t, err)
		require.Greater(t, manifest.Epoch, epoch)
		epoch = manifest.Epoch
		withLog(t, path, func(s *boltstore.Store) { require.Equal(t, epoch, s.Info().Epoch) })
	}
	info, err = os.Lstat(link)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSymlink, info.Mode().Type(), "the link was replaced, and not the file")

	// Replace does not require a file.
	_, err = boltstore.Restore(t.Context(), logPath(t), &boltstore.RestoreOptions{Replace: true}, bytes.NewReader(backup))
	require.NoError(t, err)
}

// withLog opens a log while use runs.
func withLog(t *testing.T, path string, use func(*boltstore.Store)) {
	t.Helper()
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	use(s)
	require.NoError(t, s.Close())
}

func TestRestore_ReplacesADamagedLog(t *testing.T) {
	backup := smallBackup(t)
	damage := map[string]func(content []byte) []byte{
		"cut short":         func(content []byte) []byte { return content[:3*os.Getpagesize()] },
		"pages overwritten": func(content []byte) []byte { clear(content[2*os.Getpagesize():]); return content },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			fill(t, s, 20)
			require.NoError(t, s.Close())
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, damage(content), 0o600))
			_, err = boltstore.Restore(t.Context(), path, &boltstore.RestoreOptions{Replace: true}, bytes.NewReader(backup))
			require.NoError(t, err)
			require.Len(t, all(t, open(t, path, nil)), 9)
		})
	}
}

func TestRestore_DoesNotReplaceWhatIsNoLog(t *testing.T) {
	backup := smallBackup(t)
	tests := map[string]func(path string){
		"another program's bbolt file": func(path string) {
			edit(t, path, func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket([]byte("users"))
				return err
			})
		},
		"a text": func(path string) { require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("diary "), 5000), 0o600)) },
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			make(path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = boltstore.Restore(t.Context(), path, &boltstore.RestoreOptions{Replace: true}, bytes.NewReader(backup))
			require.ErrorIs(t, err, eventstore.ErrFormat)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func TestRestore_OfALogThatIsOpenIsAnError(t *testing.T) {
	backup := smallBackup(t)
	s, path := fullLog(t, 10)
	before := all(t, s)
	_, err := boltstore.Restore(t.Context(), path, &boltstore.RestoreOptions{Replace: true, LockTimeout: time.Millisecond}, bytes.NewReader(backup))
	require.ErrorIs(t, err, eventstore.ErrLocked)
	require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
	require.Equal(t, before, all(t, s))
	appendEvents(t, s, "s", 1)
}

func TestRestore_Cancelled(t *testing.T) {
	s, _ := fullLog(t, 300)
	backup, _ := backUp(t, s, 0)
	path := logPath(t)
	ctx, cancel := context.WithCancel(t.Context())
	var done []eventstore.Position
	progress := func(p eventstore.Progress) {
		require.EqualValues(t, 900, p.Total)
		if done = append(done, p.Done); len(done) == 2 {
			cancel()
		}
	}
	_, err := boltstore.Restore(ctx, path, &boltstore.RestoreOptions{Progress: progress}, bytes.NewReader(backup))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []eventstore.Position{256, 512}, done)
	require.Empty(t, files(t, filepath.Dir(path)))
	_, err = boltstore.Restore(t.Context(), path, &boltstore.RestoreOptions{Progress: progress}, bytes.NewReader(backup))
	require.NoError(t, err)
	require.EqualValues(t, 900, done[len(done)-1])
}
