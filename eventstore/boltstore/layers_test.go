package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// viewModel is a view and a model of its rows.
type viewModel struct {
	store *boltstore.Store
	at    eventstore.Checkpoint
	now   map[string]string
}

// layered makes a log of 1000 events with a view of 1000 rows.
func layered(t *testing.T, path string) *viewModel {
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 1000)
	m := &viewModel{store: s, now: make(map[string]string)}
	changes := make(map[string]string)
	for i := range 1000 {
		changes[fmt.Sprintf("%04d", i)] = "first"
	}
	m.commit(t, changes)
	return m
}

// commit changes rows; an empty value deletes one.
func (m *viewModel) commit(t *testing.T, changes map[string]string) {
	next := eventstore.Checkpoint{Position: m.at.Position + 1}
	commit := eventstore.RowCommit{View: "v", Expected: m.at, Checkpoint: next}
	for key, value := range changes {
		row := eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: []byte(key)}}
		if value != "" {
			row.Value = []byte(value)
		}
		commit.Rows = append(commit.Rows, row)
	}
	require.NoError(t, m.store.CommitRows(t.Context(), commit))
	m.at = next
	for key, value := range changes {
		if m.now[key] = value; value == "" {
			delete(m.now, key)
		}
	}
}

// random returns changes of n rows, some of them new and some deleted.
func (m *viewModel) random(random *rand.Rand, n int) map[string]string {
	changes := make(map[string]string)
	for len(changes) < n {
		value := ""
		if random.IntN(4) > 0 {
			value = fmt.Sprintf("at %d: %d", m.at.Position+1, random.IntN(1000))
		}
		changes[fmt.Sprintf("%04d", random.IntN(1100))] = value
	}
	return changes
}

// compare compares scans and single rows with the model.
func (m *viewModel) compare(t *testing.T, random *rand.Rand) {
	keys := slices.Sorted(maps.Keys(m.now))
	for range 20 {
		from, to := random.IntN(1100), random.IntN(1200)
		scan := eventstore.RowScan{Table: "t", Backward: random.IntN(2) == 0, Limit: random.IntN(3) * 100}
		if random.IntN(4) > 0 {
			scan.From = fmt.Appendf(nil, "%04d", from)
		}
		if random.IntN(4) > 0 {
			scan.To = fmt.Appendf(nil, "%04d", to)
		}
		expected := []string{}
		for _, key := range keys {
			if key >= string(scan.From) && (scan.To == nil || key < string(scan.To)) {
				expected = append(expected, key+"="+m.now[key])
			}
		}
		if scan.Backward {
			slices.Reverse(expected)
		}
		if scan.Limit > 0 {
			expected = expected[:min(scan.Limit, len(expected))]
		}
		found := []string{}
		for set, err := range m.store.ScanRows(t.Context(), "v", scan) {
			require.NoError(t, err)
			require.Equal(t, m.at, set.Checkpoint)
			for _, row := range set.Rows {
				found = append(found, string(row.Key)+"="+string(row.Value))
			}
		}
		require.Equal(t, expected, found)
	}
	for range 50 {
		key := fmt.Sprintf("%04d", random.IntN(1100))
		require.Equal(t, m.now[key], m.get(t, key))
	}
}

func (m *viewModel) get(t *testing.T, key string) string {
	set, err := m.store.GetRows(t.Context(), "v", eventstore.RowKey{Table: "t", Key: []byte(key)})
	require.NoError(t, err)
	return string(set.Rows[0].Value)
}

// layersIn returns how many layers of changes there are in a file.
func layersIn(t *testing.T, path string) int {
	numbers := make(map[string]bool)
	edit(t, path, func(tx *bolt.Tx) error {
		all := tx.Bucket([]byte("changes"))
		if all == nil {
			return nil
		}
		return all.ForEachBucket(func(view []byte) error {
			return all.Bucket(view).ForEach(func(key, _ []byte) error {
				numbers[string(view)+string(key[:8])] = true
				return nil
			})
		})
	})
	return len(numbers)
}

// TestRows_Layers compares a view with a map, after changes of different sizes.
func TestRows_Layers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := logPath(t)
	m := layered(t, path)
	seen := make(map[int]int)
	for i := range 120 {
		n := 40 + random.IntN(100)
		switch {
		case random.IntN(12) == 0:
			n = 1 + random.IntN(5) // too few for a layer
		case random.IntN(30) == 0:
			n = 600 // too many
		}
		m.commit(t, m.random(random, n))
		m.compare(t, random)
		if i%5 > 0 {
			continue
		}
		require.NoError(t, m.store.Close())
		seen[layersIn(t, path)]++
		if i%25 == 0 {
			_, err := boltstore.Compact(t.Context(), path, nil)
			require.NoError(t, err)
			require.Zero(t, layersIn(t, path))
		}
		m.store = openUnverified(t, path, nil)
		m.compare(t, random)
		report, err := m.store.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, report.Findings)
	}
	require.Greater(t, len(seen), 3, "layers were few: %v", seen)

	for more := true; more; {
		var err error
		more, err = m.store.DropRows(t.Context(), "v", 100)
		require.NoError(t, err)
	}
	require.NoError(t, m.store.Close())
	require.Zero(t, layersIn(t, path))
}

// TestRows_LayersAreBounded changes a view many times: layers are folded when there are eight.
func TestRows_LayersAreBounded(t *testing.T) {
	path := logPath(t)
	m := layered(t, path)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 20 {
		m.commit(t, m.random(random, 50))
		require.NoError(t, m.store.Close())
		require.Equal(t, (i+1)%9, layersIn(t, path))
		m.store = openUnverified(t, path, nil)
	}
	require.NoError(t, m.store.Close())
}

// secondChange is the key of the change of row "0000" in the layer with number 2.
func secondChange() []byte { return append(binary.BigEndian.AppendUint64(nil, 2), "t\x000000"...) }

// layerDamages damage the bucket of a view's rows, or that of all changes.
var layerDamages = map[string]struct {
	damage func(rows, changes *bolt.Bucket) error
	reads  bool // the first row can be read all the same
	kind   boltstore.FindingKind
}{
	"all changes are missing": {damage: func(_, changes *bolt.Bucket) error { return changes.DeleteBucket([]byte("v")) }, kind: boltstore.MissingRow},
	"the tally is missing":    {damage: func(rows, _ *bolt.Bucket) error { return rows.Delete([]byte{0}) }, kind: boltstore.MissingRow},
	"the tally is changed": {damage: func(rows, _ *bolt.Bucket) error {
		tally := bytes.Clone(rows.Get([]byte{0}))
		tally[27]--
		return rows.Put([]byte{0}, tally)
	}, kind: boltstore.MissingRow},
	"a change is missing": {damage: func(_, changes *bolt.Bucket) error {
		return changes.Bucket([]byte("v")).Delete(secondChange())
	}, reads: true, kind: boltstore.MissingRow},
	"a change is changed": {damage: func(_, changes *bolt.Bucket) error {
		value := bytes.Clone(changes.Bucket([]byte("v")).Get(secondChange()))
		value[0] ^= 1
		return changes.Bucket([]byte("v")).Put(secondChange(), value)
	}, kind: boltstore.DamagedRow},
	"a change of another layer": {damage: func(_, changes *bolt.Bucket) error {
		other := secondChange()
		other[7] = 1
		b := changes.Bucket([]byte("v"))
		return copyValue(b, secondChange(), b, other)
	}, kind: boltstore.DamagedRow},
	"a layer too many": {damage: func(_, changes *bolt.Bucket) error {
		key := append(binary.BigEndian.AppendUint64(nil, 77), "t\x000000"...)
		return changes.Bucket([]byte("v")).Put(key, []byte("1234"))
	}, reads: true, kind: boltstore.StrayRow},
	"changes of no view": {damage: func(_, changes *bolt.Bucket) error {
		_, err := changes.CreateBucket([]byte("w"))
		return err
	}, reads: true, kind: boltstore.StrayBucket},
}

// twoLayers adds two layers to a view: rows "0000" to "0099" are in the first, "0000" to
// "0049" in the second as well.
func (m *viewModel) twoLayers(t *testing.T) {
	changes := make(map[string]string)
	for i := range 100 {
		changes[fmt.Sprintf("%04d", i)] = "second"
	}
	m.commit(t, changes)
	for i := range 50 {
		delete(changes, fmt.Sprintf("%04d", i+50))
	}
	m.commit(t, changes)
}

// TestRows_DamagedLayers takes away and changes what layers are made of.
func TestRows_DamagedLayers(t *testing.T) {
	for name, test := range layerDamages {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			m := layered(t, path)
			m.twoLayers(t)
			require.NoError(t, m.store.Close())
			require.Equal(t, 2, layersIn(t, path))
			edit(t, path, func(tx *bolt.Tx) error {
				return test.damage(tx.Bucket([]byte("rows")).Bucket([]byte("v")), tx.Bucket([]byte("changes")))
			})

			m.store = openUnverified(t, path, nil)
			report, err := m.store.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.NotEmpty(t, report.Findings)
			require.Equal(t, test.kind, report.Findings[0].Kind, "%v", report.Findings)
			_, err = m.store.GetRows(t.Context(), "v", eventstore.RowKey{Table: "t", Key: []byte("0000")})
			if test.reads {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				commit := firstRows(500) // too many for a layer, so the others are folded first
				commit.Expected, commit.Checkpoint.Position = m.at, m.at.Position+1
				require.ErrorIs(t, m.store.CommitRows(t.Context(), commit), eventstore.ErrCorrupt)
				require.ErrorContains(t, m.store.CommitRows(t.Context(), commit), `view "v"`)
			}
			require.NoError(t, m.store.Close())
		})
	}
}

// TestRows_LostRows: a view that has lost its own rows takes none until it is dropped. Its
// layers do not apply to the rows that it gets later.
func TestRows_LostRows(t *testing.T) {
	path := logPath(t)
	m := layered(t, path)
	random := rand.New(rand.NewPCG(1, 1))
	m.commit(t, m.random(random, 100))
	require.NoError(t, m.store.Close())
	edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("rows")).DeleteBucket([]byte("v")) })
	require.Equal(t, 1, layersIn(t, path))

	m.store, m.now = openUnverified(t, path, nil), make(map[string]string)
	require.NotEmpty(t, m.store.Info().Warnings)
	commit := firstRows(1)
	commit.Expected, commit.Checkpoint.Position = m.at, m.at.Position+1
	require.ErrorIs(t, m.store.CommitRows(t.Context(), commit), eventstore.ErrCorrupt)
	_, err := m.store.GetRows(t.Context(), "v", eventstore.RowKey{Table: "t", Key: []byte("0000")})
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	report, err := m.store.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.DamagedCheckpoint, report.Findings[0].Kind)

	more, err := m.store.DropRows(t.Context(), "v", 100)
	require.NoError(t, err)
	require.False(t, more)
	m.at = eventstore.Checkpoint{}
	m.commit(t, m.random(random, 600))
	m.commit(t, m.random(random, 50))
	m.compare(t, random)
	report, err = m.store.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.NoError(t, m.store.Close())
	require.Equal(t, 1, layersIn(t, path))
}

// TestRows_WithoutAWholeTally: the view takes no rows, and none are read, until it is dropped.
func TestRows_WithoutAWholeTally(t *testing.T) {
	path := logPath(t)
	m := layered(t, path)
	require.NoError(t, m.store.Close())
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("rows")).Bucket([]byte("v")).Put([]byte{0}, []byte("damaged"))
	})
	m.store = openUnverified(t, path, nil)
	require.NotEmpty(t, m.store.Info().Warnings)
	commit := firstRows(1)
	commit.Expected, commit.Checkpoint.Position = m.at, m.at.Position+1
	require.ErrorIs(t, m.store.CommitRows(t.Context(), commit), eventstore.ErrCorrupt)
	_, err := m.store.GetRows(t.Context(), "v", eventstore.RowKey{Table: "t", Key: []byte("0000")})
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	for more := true; more; {
		more, err = m.store.DropRows(t.Context(), "v", 300)
		require.NoError(t, err)
	}
	m.at, m.now = eventstore.Checkpoint{}, make(map[string]string)
	m.commit(t, map[string]string{"0000": "again"})
	require.Equal(t, "again", m.get(t, "0000"))
	require.NoError(t, m.store.Close())
}

// TestRows_ALayerThatHasLostRows: a leaf of a layer that counts too few entries is an error,
// and no older row is read instead.
func TestRows_ALayerThatHasLostRows(t *testing.T) {
	path := logPath(t)
	m := layered(t, path)
	for round := range 2 {
		changes := make(map[string]string)
		for i := range 240 {
			changes[fmt.Sprintf("%04d", i*4)] = fmt.Sprint("round ", round)
		}
		m.commit(t, changes)
	}
	require.NoError(t, m.store.Close())
	require.Equal(t, 2, layersIn(t, path))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	size, refused := os.Getpagesize(), 0
	for page := 2 * size; page < len(content); page += size {
		b := content[page : page+size]
		count := int(binary.NativeEndian.Uint16(b[10:]))
		if binary.NativeEndian.Uint16(b[8:]) != 2 || count < 10 || !bytes.HasPrefix(b[16+16*count+8:], []byte("t\x00")) {
			continue // not of a layer
		}
		copied := copyFile(t, path)
		overwrite(t, copied, int64(page+10), binary.NativeEndian.AppendUint16(nil, uint16(count-2)))
		s, err := boltstore.Open(copied, &boltstore.Options{ReadOnly: true})
		require.NoError(t, err)
		for i := range 240 {
			key := eventstore.RowKey{Table: "t", Key: fmt.Appendf(nil, "%04d", i*4)}
			set, err := s.GetRows(t.Context(), "v", key)
			if err != nil {
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				refused++
				continue
			}
			require.Equal(t, "round 1", string(set.Rows[0].Value))
		}
		require.NoError(t, s.Close())
	}
	require.Greater(t, refused, 3*240, "pages of layers were not found")
}
