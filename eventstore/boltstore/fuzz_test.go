package boltstore_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// mutable is a log to damage: its used part, the size of its file, and its events.
type mutable struct {
	content []byte
	size    int64
	events  map[eventstore.Position]eventstore.Event
}

func newMutable(f *testing.F) mutable {
	path := logPath(f)
	s, err := boltstore.Open(path, nil)
	require.NoError(f, err)
	for i, stream := range []eventstore.StreamID{"s-1", "s-2", "s-1"} {
		appendEvents(f, s, stream, 60+i*100) // the last of them are packed
	}
	key := eventstore.RowKey{Table: "t", Key: []byte("k")}
	require.NoError(f, s.CommitRows(f.Context(), eventstore.RowCommit{
		View: "v", Checkpoint: eventstore.Checkpoint{Position: 9}, Rows: []eventstore.Row{{RowKey: key, Value: []byte("value")}},
	}))
	m := mutable{events: make(map[eventstore.Position]eventstore.Event)}
	for e, err := range s.Read(f.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(f, err)
		m.events[e.Position] = e
	}
	require.NoError(f, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(f, err)
	m.size, m.content = int64(len(content)), bytes.TrimRight(content, "\x00")
	return m
}

// FuzzOpen_MutatedFile changes bytes of a log and cuts it. Opening and using the result ends
// without a panic, with errors that a caller can match, and no event is returned that is
// not one of the log.
func FuzzOpen_MutatedFile(f *testing.F) {
	m := newMutable(f)
	page := uint32(os.Getpagesize())
	f.Add(uint32(0), []byte{}, uint32(0), []byte{}, uint32(0), true)
	f.Add(uint32(24), []byte{1}, page+40, []byte{1}, uint32(0), false)
	f.Add(2*page+10, []byte{0xff, 0xff}, 3*page+12, []byte{1}, uint32(0), true)
	f.Add(4*page+16, []byte{1, 0, 0, 0, 0xff}, 5*page, []byte{}, uint32(0), false)
	f.Add(uint32(0), []byte{}, uint32(0), []byte{}, 5*page+1, false)
	f.Fuzz(func(t *testing.T, at uint32, with []byte, also uint32, and []byte, cut uint32, readOnly bool) {
		path := logPath(t)
		content := bytes.Clone(m.content)
		copy(content[int(at)%len(content):], with)
		copy(content[int(also)%len(content):], and)
		size := m.size
		if cut > 0 {
			size = int64(cut) % (int64(len(content)) + 1)
		}
		require.NoError(t, os.WriteFile(path, content[:min(int64(len(content)), size)], 0o600))
		require.NoError(t, os.Truncate(path, size))
		s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly, LockTimeout: time.Millisecond})
		if err != nil {
			requireDamage(t, err)
			return
		}
		m.use(t, s)
		require.NoError(t, s.Close())
	})
}

// use reads, verifies and appends.
func (m *mutable) use(t *testing.T, s *boltstore.Store) {
	queries := []eventstore.Query{eventstore.All(), eventstore.Stream("s-1"), eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:3"}, Types: []string{"t"}})}
	for i, q := range queries {
		for e, err := range s.Read(t.Context(), q, eventstore.ReadOptions{Backward: i == 1}) {
			if err != nil {
				requireDamage(t, err)
				break
			}
			require.Equal(t, m.events[e.Position], e)
		}
	}
	for set, err := range s.ScanRows(t.Context(), "v", eventstore.RowScan{Table: "t"}) {
		if err != nil {
			requireDamage(t, err)
			break
		}
		for _, row := range set.Rows {
			require.Equal(t, "value", string(row.Value))
		}
	}
	_, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	if _, err := eventstore.AppendTo(t.Context(), s, "s-2", eventstore.Any, events(2)...); err != nil {
		requireDamage(t, err)
	}
}

// requireDamage requires an error that a damaged file may cause.
func requireDamage(t *testing.T, err error) {
	t.Helper()
	for _, known := range []error{eventstore.ErrCorrupt, eventstore.ErrFormat, eventstore.ErrReadOnly, eventstore.ErrUnknownOutcome, eventstore.ErrFailed} {
		if errors.Is(err, known) {
			return
		}
	}
	require.NoError(t, err)
}
