package simfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/simfs"
)

func pageOf(b byte) []byte { return bytes.Repeat([]byte{b}, 4096) }

func write(file simfs.FileID, page int, b byte) simfs.Op {
	return simfs.Op{Kind: simfs.Write, File: file, Offset: int64(page) * 4096, Data: pageOf(b)}
}

// onDisk returns a trace of ops on a disk with one durable file of two pages.
func onDisk(ops ...simfs.Op) simfs.Trace {
	content := append(pageOf('a'), pageOf('b')...)
	return simfs.Trace{Base: simfs.Disk{"file": {Size: 8192, Data: content}}, Ops: ops}
}

// contents returns the file's content in each image: the first byte of each page,
// "?" for a page with different bytes, "-" for no file.
func contents(t *testing.T, trace simfs.Trace, name string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	_, err := simfs.Explore(trace, simfs.ExploreOptions{Seed: 1, Budget: 1500}, func(image simfs.Image) error {
		f, there := image.Disk[name]
		if !there {
			found["-"] = true
			return nil
		}
		data := append(bytes.Clone(f.Data), make([]byte, f.Size-int64(len(f.Data)))...)
		text := ""
		for len(data) > 0 {
			page := data[:min(len(data), 4096)]
			data = data[len(page):]
			switch {
			case bytes.Count(page, page[:1]) < len(page):
				text += "?"
			case page[0] == 0:
				text += "0"
			default:
				text += string(page[:1])
			}
		}
		found[text] = true
		return nil
	})
	require.NoError(t, err)
	return found
}

func TestExplore_WritesAreThereOrNotUntilSynced(t *testing.T) {
	found := contents(t, onDisk(write(1, 0, 'x'), write(1, 1, 'y'), simfs.Op{Kind: simfs.Sync, File: 1}, write(1, 0, 'z')), "file")
	for _, want := range []string{"ab", "xb", "ay", "xy", "zy", "?b", "a?", "??", "?y"} {
		require.True(t, found[want], "%s is missing in %v", want, found)
	}
	for _, never := range []string{"zb", "x?z", "az"} {
		require.False(t, found[never], "%s cannot be", never)
	}
}

func TestExplore_SyncedIsNeverDamaged(t *testing.T) {
	found := contents(t, onDisk(write(1, 0, 'x'), simfs.Op{Kind: simfs.Sync, File: 1}, write(1, 1, 'y')), "file")
	for text := range found {
		if len(text) == 2 && text[1] != 'b' {
			require.Equal(t, byte('x'), text[0], "%s in %v", text, found)
		}
	}
}

func TestExplore_AfterAFailedSyncALaterOneHelpsOnlyWhatWasWrittenSince(t *testing.T) {
	found := contents(t, onDisk(
		write(1, 0, 'x'), simfs.Op{Kind: simfs.Sync, File: 1, Failed: true},
		write(1, 1, 'y'), simfs.Op{Kind: simfs.Sync, File: 1},
		simfs.Op{Kind: simfs.Mark, Text: "end"},
	), "file")
	require.True(t, found["ay"], "the first write may be lost although a later sync succeeded: %v", found)
	require.True(t, found["xy"])

	again := contents(t, onDisk(
		write(1, 0, 'x'), simfs.Op{Kind: simfs.Sync, File: 1, Failed: true},
		write(1, 0, 'z'), simfs.Op{Kind: simfs.Sync, File: 1},
		write(1, 1, 'y'),
	), "file")
	for text := range again {
		if len(text) == 2 && text[1] != 'b' {
			require.Equal(t, byte('z'), text[0], "what was written again and synced is durable: %s", text)
		}
	}
}

func TestExplore_NamesAreThereWhenTheirDirectoryIsSynced(t *testing.T) {
	create := simfs.Op{Kind: simfs.Create, Name: "new", File: 2}
	sync := simfs.Op{Kind: simfs.Sync, File: 2}
	before := contents(t, onDisk(create, write(2, 0, 'n'), sync), "new")
	require.True(t, before["-"], "the sync of a file does not make its name durable")
	require.True(t, before["n"])

	rename := simfs.Op{Kind: simfs.Rename, Name: "new", To: "file", File: 2}
	after := contents(t, onDisk(create, write(2, 0, 'n'), sync, rename, simfs.Op{Kind: simfs.SyncDir, Name: "."}), "file")
	require.Equal(t, map[string]bool{"ab": true, "n": true}, after, "the old file or the new one, each whole")
}

func TestExplore_SizesAreThereOrNot(t *testing.T) {
	found := contents(t, onDisk(simfs.Op{Kind: simfs.Truncate, File: 1, Size: 16384}), "file")
	require.Equal(t, map[string]bool{"ab": true, "ab00": true}, found)
}

func TestExplore_BytesWrittenAgainMayBeHarmed(t *testing.T) {
	harmed := false
	_, err := simfs.Explore(onDisk(write(1, 0, 'a')), simfs.ExploreOptions{Seed: 1, Budget: 200}, func(image simfs.Image) error {
		harmed = harmed || !bytes.Equal(image.Disk["file"].Data[:4096], pageOf('a'))
		return nil
	})
	require.NoError(t, err)
	require.True(t, harmed)
}

func TestExplore_Budget(t *testing.T) {
	var ops []simfs.Op
	for i := range 40 {
		ops = append(ops, write(1, i%2, byte('A'+i)), simfs.Op{Kind: simfs.Mark, Text: fmt.Sprint("wrote ", i)})
		if i%4 == 3 {
			ops = append(ops, simfs.Op{Kind: simfs.Sync, File: 1})
		}
	}
	for _, budget := range []int{10, 300, 3000} {
		found, err := simfs.Explore(onDisk(ops...), simfs.ExploreOptions{Seed: 3, Budget: budget}, func(simfs.Image) error { return nil })
		require.NoError(t, err)
		require.InDelta(t, budget, found.Images, float64(budget)/2)
		require.LessOrEqual(t, found.Distinct, found.Images)
	}
	enough := errors.New("enough")
	found, err := simfs.Explore(onDisk(ops...), simfs.ExploreOptions{Seed: 3, Budget: 300, From: 50}, func(image simfs.Image) error {
		require.GreaterOrEqual(t, image.Moment, 50)
		return enough
	})
	require.ErrorIs(t, err, enough)
	require.Zero(t, found.Images)
}

func TestTrace_Told(t *testing.T) {
	sync, dir := simfs.Op{Kind: simfs.Sync, File: 1}, simfs.Op{Kind: simfs.SyncDir, Name: "."}
	trace := onDisk(write(1, 5, 'd'), sync, write(1, 1, 'm'), sync, sync, dir)
	for lie, want := range map[simfs.Lie][]int{
		simfs.Honest: nil, simfs.LieData: {1}, simfs.LieMeta: {3}, simfs.LieAll: {1, 3}, simfs.LieDir: {5},
	} {
		told, err := trace.Told(lie)
		require.NoError(t, err)
		var lied []int
		for i, op := range told.Ops {
			if op.Lied {
				lied = append(lied, i)
			}
		}
		require.Equal(t, want, lied, "lie %q", lie)
	}
	_, err := trace.Told("often")
	require.Error(t, err)
	require.False(t, trace.Ops[1].Lied, "the trace itself is not changed")
}
