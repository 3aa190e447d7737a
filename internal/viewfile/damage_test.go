package viewfile_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/viewfile"
)

// own changes the bucket of the view's own rows.
func own(t *testing.T, db *bolt.DB, fn func(b *bolt.Bucket) error) {
	t.Helper()
	update(t, db, func(tx *bolt.Tx) error { return fn(tx.Bucket(logfile.RowsBucket).Bucket([]byte(view.ID))) })
}

// TestGet_NeighboursProveAbsence: a row that is not found is absent only if the entries
// beside its place are whole.
func TestGet_NeighboursProveAbsence(t *testing.T) {
	for name, damage := range map[string]func(b *bolt.Bucket) error{
		"the one before": func(b *bolt.Bucket) error { return b.Put([]byte("t\x00b"), []byte("damaged")) },
		"the one behind": func(b *bolt.Bucket) error { return b.Put([]byte("t\x00d"), []byte("damaged")) },
		"too short":      func(b *bolt.Bucket) error { return b.Put([]byte("t\x00d"), []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			db := newFile(t)
			change(t, db, row("t", "a", "1"), row("t", "b", "2"), row("t", "d", "4"), row("t", "e", "5"))
			_, ok, err := get(db, "c")
			require.NoError(t, err)
			require.False(t, ok)
			own(t, db, damage)
			_, _, err = get(db, "c")
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			for _, key := range []string{"a", "e", "\x00", "f"} {
				_, _, err = get(db, key)
				require.NoError(t, err, "%q is not beside the damage", key)
			}
		})
	}
}

// TestScan_SeesDamageInItsRangeAndBesideIt has a damaged row at "c". A scan that begins
// at a row which is there need not look at the one before; where it begins at none, and
// where it ends, the neighbour must be whole.
func TestScan_SeesDamageInItsRangeAndBesideIt(t *testing.T) {
	db := newFile(t)
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		change(t, db, row("t", key, key))
	}
	own(t, db, func(b *bolt.Bucket) error { return b.Put([]byte("t\x00c"), []byte("damaged")) })
	for _, tt := range []struct {
		from, to                    string
		failsForward, failsBackward bool
	}{
		{"", "", true, true},
		{"a", "d", true, true},
		{"a", "bb", true, true},
		{"cc", "f", true, true},
		{"a", "c", true, false},
		{"d", "f", false, true},
		{"a", "b", false, false},
		{"e", "f", false, false},
	} {
		for backward, fails := range map[bool]bool{false: tt.failsForward, true: tt.failsBackward} {
			p := viewfile.NewScan(eventstore.RowScan{Table: "t", From: []byte(tt.from), To: []byte(tt.to), Backward: backward})
			err := db.View(func(tx *bolt.Tx) error {
				state := load(t, tx, view)
				_, err := p.Next(&state)
				return err
			})
			if fails {
				require.ErrorIs(t, err, eventstore.ErrCorrupt, "from %q to %q", tt.from, tt.to)
			} else {
				require.NoError(t, err, "from %q to %q", tt.from, tt.to)
			}
		}
	}
}

// TestLayers_AreAllThere damages what layers are made of: older rows are not read
// instead of newer ones.
func TestLayers_AreAllThere(t *testing.T) {
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"the changes are missing": func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.ChangesBucket).DeleteBucket([]byte(view.ID))
		},
		"the tally is missing": func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.RowsBucket).Bucket([]byte(view.ID)).Delete(viewfile.TallyKey)
		},
		"the tally is damaged": func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.RowsBucket).Bucket([]byte(view.ID)).Put(viewfile.TallyKey, make([]byte, 32))
		},
		"a change is damaged": func(tx *bolt.Tx) error {
			return tx.Bucket(logfile.ChangesBucket).Bucket([]byte(view.ID)).Put(append(binary.BigEndian.AppendUint64(nil, 1), "t\x000005"...), []byte("damaged"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := newFile(t)
			change(t, db, numbered(0, 100, "older")...)
			change(t, db, numbered(0, 10, "newer")...)
			require.Equal(t, 1, layersOf(t, db))
			update(t, db, damage)
			_, _, err := get(db, "0005")
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			err = db.Update(func(tx *bolt.Tx) error {
				return viewfile.Change(pages.Write(tx), view, numbered(0, 90, "third"), eventstore.Checkpoint{Position: 1})
			})
			require.ErrorIs(t, err, eventstore.ErrCorrupt)

			update(t, db, func(tx *bolt.Tx) error {
				gone, err := viewfile.Drop(pages.Write(tx), view, viewfile.FirstKeys(pages.View(tx), view, 1000))
				require.True(t, gone, "what is damaged can be dropped")
				return err
			})
			change(t, db, numbered(0, 100, "again")...)
			requireTally(t, db, 100)
		})
	}
}

// TestLoad_PutBack has older content of the checkpoints' page, or of the page of rows and
// tally, come back: neither is used with the newer one of the other.
func TestLoad_PutBack(t *testing.T) {
	for name, bucket := range map[string][]byte{"checkpoints": logfile.CheckpointsBucket, "rows": logfile.RowsBucket} {
		t.Run(name, func(t *testing.T) {
			db := newFile(t)
			change(t, db, row("t", "a", "1"))
			older := content(t, db, bucket)
			change(t, db, row("t", "a", "2"))
			newer := content(t, db, bucket)
			putBack(t, db, bucket, older)
			load := func() error {
				return db.View(func(tx *bolt.Tx) error { _, err := viewfile.Load(pages.View(tx), view); return err })
			}
			require.ErrorIs(t, load(), eventstore.ErrCorrupt)
			err := db.Update(func(tx *bolt.Tx) error {
				return viewfile.Change(pages.Write(tx), view, numbered(0, 1, "x"), eventstore.Checkpoint{Position: 2})
			})
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			putBack(t, db, bucket, newer)
			require.NoError(t, load())
		})
	}
}

// content returns what lies under the view's name in a bucket, or in the view's bucket in it.
func content(t *testing.T, db *bolt.DB, bucket []byte) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		if own := b.Bucket([]byte(view.ID)); own != nil {
			b = own
		}
		return b.ForEach(func(key, value []byte) error {
			all[string(key)] = string(value)
			return nil
		})
	}))
	return all
}

func putBack(t *testing.T, db *bolt.DB, bucket []byte, all map[string]string) {
	t.Helper()
	update(t, db, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		if own := b.Bucket([]byte(view.ID)); own != nil {
			b = own
		}
		for key, value := range all {
			if err := b.Put([]byte(key), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestChange_OfLostRows: a view that has lost its rows is not taken for one without rows.
func TestChange_OfLostRows(t *testing.T) {
	db := newFile(t)
	change(t, db, numbered(0, 100, "older")...)
	update(t, db, func(tx *bolt.Tx) error { return tx.Bucket(logfile.RowsBucket).DeleteBucket([]byte(view.ID)) })
	_, _, err := get(db, "0005")
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	err = db.Update(func(tx *bolt.Tx) error {
		return viewfile.Change(pages.Write(tx), view, numbered(5, 8, "again"), eventstore.Checkpoint{Position: 1})
	})
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
}

// TestLoad_WithoutTally: rows without a whole tally are not read, since the tally says which
// layers there are and whether the checkpoint is that of the rows.
func TestLoad_WithoutTally(t *testing.T) {
	for _, damage := range []func(b *bolt.Bucket) error{
		func(b *bolt.Bucket) error { return b.Delete(viewfile.TallyKey) },
		func(b *bolt.Bucket) error { return b.Put(viewfile.TallyKey, []byte("damaged")) },
	} {
		db := newFile(t)
		change(t, db, numbered(0, 100, "own")...)
		own(t, db, damage)
		_, _, err := get(db, "0005")
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
	}
}

func TestTally_SealsAndOpens(t *testing.T) {
	var tally viewfile.Tally
	tally.Add(viewfile.SealRow(view, []byte("t\x00a"), []byte("1")))
	sealed := viewfile.SealTally(view, tally)
	got, err := viewfile.OpenTally(view, sealed)
	require.NoError(t, err)
	require.Equal(t, tally, got)
	require.EqualValues(t, 1, got.Rows)
	for bit := range len(sealed) * 8 {
		damaged := bytes.Clone(sealed)
		damaged[bit/8] ^= 1 << (bit % 8)
		_, err := viewfile.OpenTally(view, damaged)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
	}
	_, err = viewfile.OpenTally(of("other"), sealed)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	for _, impossible := range [][]byte{
		make([]byte, 16),
		append(make([]byte, 16), 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1), // more layers than there ever were
		append(make([]byte, 16), 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1),
	} {
		_, err = viewfile.OpenTally(view, viewfile.SealRow(view, viewfile.TallyKey, impossible))
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
	}
}

func TestLoad_Checkpoint(t *testing.T) {
	db := newFile(t)
	read := func(id eventstore.ViewID) (c eventstore.Checkpoint, err error) {
		err = db.View(func(tx *bolt.Tx) error {
			state, err := viewfile.Load(pages.View(tx), of(id))
			c = state.Checkpoint
			return err
		})
		return c, err
	}
	want := map[eventstore.ViewID]eventstore.Checkpoint{
		"b": {Position: 7, Data: []byte("x")},
		"d": {Position: 8, Fault: &eventstore.Fault{Position: 9, Type: "t", Reason: "bad"}},
		"f": {Position: 10},
	}
	for id, c := range want {
		update(t, db, func(tx *bolt.Tx) error { return viewfile.Change(pages.Write(tx), of(id), nil, c) })
		got, err := read(id)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	for _, absent := range []eventstore.ViewID{"a", "c", "e", "g"} {
		got, err := read(absent)
		require.NoError(t, err)
		require.True(t, got.IsZero())
	}
	update(t, db, func(tx *bolt.Tx) error { // d gets the checkpoint of another view
		checkpoints := tx.Bucket(logfile.CheckpointsBucket)
		return checkpoints.Put([]byte("d"), bytes.Clone(checkpoints.Get([]byte("b"))))
	})
	for id, whole := range map[eventstore.ViewID]bool{"a": true, "b": true, "c": false, "d": false, "e": false, "f": true, "g": true} {
		_, err := read(id)
		require.Equal(t, whole, err == nil, "%s: %v", id, err)
	}
	found := make(map[eventstore.ViewID]error)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		return viewfile.ForEachCheckpoint(pages.View(tx), identity.Seed(), func(view eventstore.ViewID, _ eventstore.Checkpoint, err error) error {
			found[view] = err
			return nil
		})
	}))
	require.Len(t, found, 3)
	require.ErrorIs(t, found["d"], eventstore.ErrCorrupt)
	require.NoError(t, found["b"])
}
