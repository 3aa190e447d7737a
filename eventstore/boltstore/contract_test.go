package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// invalidEvents are events that no Append takes, and the rule that each breaks.
var invalidEvents = map[string]struct {
	change func(e *eventstore.NewEvent, r *record.Record)
	says   string
}{
	"no id":                {func(e *eventstore.NewEvent, _ *record.Record) { e.ID = uuid.Nil }, "its id is zero"},
	"empty type":           {func(e *eventstore.NewEvent, _ *record.Record) { e.Type = "" }, "type is empty"},
	"NUL in a type":        {func(e *eventstore.NewEvent, _ *record.Record) { e.Type = "a\x00b" }, "contains NUL"},
	"NUL in a tag":         {func(e *eventstore.NewEvent, _ *record.Record) { e.Tags = []eventstore.Tag{"\x00"} }, "contains NUL"},
	"a tag twice":          {func(e *eventstore.NewEvent, _ *record.Record) { e.Tags = []eventstore.Tag{"a", "a"} }, `tag "a" occurs twice`},
	"no UTF-8":             {func(e *eventstore.NewEvent, _ *record.Record) { e.Type = "\xff" }, "not UTF-8"},
	"too many tags":        {func(e *eventstore.NewEvent, _ *record.Record) { e.Tags = manyTags(129) }, "129 tags, at most 128"},
	"empty metadata key":   {func(e *eventstore.NewEvent, _ *record.Record) { e.Metadata = eventstore.Metadata{"": "v"} }, "metadata key is empty"},
	"year 10000":           {func(e *eventstore.NewEvent, _ *record.Record) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year 10000"},
	"recorded in 2262":     {func(_ *eventstore.NewEvent, r *record.Record) { r.Event.Recorded = time.Unix(0, 1<<63-1) }, "outside the years 1678 to 2261"},
	"version too high":     {func(_ *eventstore.NewEvent, r *record.Record) { r.Event.Version = 9 }, "version 9 at position 2"},
	"large commit":         {func(_ *eventstore.NewEvent, r *record.Record) { r.Place.N = 65_537 }, "a commit of 65537 events"},
	"version in no stream": {func(e *eventstore.NewEvent, _ *record.Record) { e.Stream = "" }, `version 2 of stream ""`},
}

func manyTags(n int) (tags []eventstore.Tag) {
	for i := range n {
		tags = append(tags, eventstore.Tag(fmt.Sprint(i)))
	}
	return tags
}

// forge returns the encoded record of the second event of a stream, changed. before is the
// running checksum up to the first.
func forge(seed record.Seed, before record.Chain, change func(*eventstore.NewEvent, *record.Record)) []byte {
	r := record.Record{
		Event: eventstore.Event{Version: 2, Recorded: time.Now().Add(time.Hour).UTC()},
		Place: record.Place{I: 0, N: 1},
	}
	e := eventstore.NewEvent{Stream: "s-1", ID: uuid.UUID{1}, Type: "t", Data: []byte("{}")}
	change(&e, &r)
	rec := record.Append(nil, &e, r.Place, r.Mark)
	record.Seal(rec, seed, before, 2, r.Event.Version, r.Event.Recorded)
	return rec
}

// TestRestore_RefusesWhatNoAppendWrites has backups with right checksums and events that
// break a rule of the contract.
func TestRestore_RefusesWhatNoAppendWrites(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s-1", 1)
	appendEvents(t, s, "s-1", 1)
	backup, _ := backUp(t, s, 0)
	existing, content := existingLog(t)
	for name, tt := range invalidEvents {
		t.Run(name, func(t *testing.T) {
			parts := takeApart(t, bytes.Clone(backup))
			seed := record.SeedOf(uuid.UUID(parts.header[12:28]))
			first, err := record.Decode(seed, 1, parts.records[0][13:])
			require.NoError(t, err)
			rec := forge(seed, first.Chain(first.Before), tt.change)
			frame := binary.BigEndian.AppendUint32([]byte{'r'}, uint32(8+len(rec)))
			parts.records[1] = append(binary.BigEndian.AppendUint64(frame, 2), rec...)
			forged := parts.assemble()
			requireRefused(t, existing, content, forged)
			_, err = boltstore.Restore(t.Context(), logPath(t), nil, bytes.NewReader(forged))
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.EqualValues(t, 2, corrupt.Position)
			require.ErrorContains(t, corrupt, tt.says)
		})
	}
}

// TestVerify_FindsWhatNoAppendWrites puts the same records into a log.
func TestVerify_FindsWhatNoAppendWrites(t *testing.T) {
	for name, tt := range invalidEvents {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s := open(t, path, nil)
			appendEvents(t, s, "s-1", 1)
			appendEvents(t, s, "s-1", 1)
			require.NoError(t, s.Close())
			edit(t, path, func(tx *bolt.Tx) error {
				log := bucketIn(tx, "log")
				first, err := record.Decode(seedOf(tx), 1, log.Get(logKey(1)))
				return errors.Join(err, log.Put(logKey(2), forge(seedOf(tx), first.Chain(first.Before), tt.change)), rechain(tx))
			})
			v := findings(t, path)
			found := false
			for _, f := range v.Findings {
				found = found || f.Position == 2 && bytes.Contains([]byte(f.Problem), []byte(tt.says))
			}
			require.True(t, found, "%v", v.Findings)
			_, err := boltstore.Compact(t.Context(), path, nil)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

// TestStore_ClockMustBeWithinTheYears: the year counts in UTC, and a backup has a time too.
func TestStore_ClockMustBeWithinTheYears(t *testing.T) {
	now := time.Now()
	s := open(t, logPath(t), &boltstore.Options{Clock: func() time.Time { return now }})
	west, east := time.FixedZone("west", -12*3600), time.FixedZone("east", 14*3600)
	appendAt := func(at time.Time) error {
		now = at
		_, err := s.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{{Type: "t"}}})
		_, backupErr := s.Backup(t.Context(), new(bytes.Buffer), nil)
		require.Equal(t, err == nil, backupErr == nil)
		return err
	}
	require.ErrorIs(t, appendAt(time.Time{}), eventstore.ErrInvalid)
	require.ErrorIs(t, appendAt(time.Date(1678, 1, 1, 2, 0, 0, 0, east)), eventstore.ErrInvalid)
	require.NoError(t, appendAt(time.Date(1677, 12, 31, 20, 0, 0, 0, west)))
	require.NoError(t, appendAt(time.Date(2262, 1, 1, 2, 0, 0, 0, east)))
	require.ErrorIs(t, appendAt(time.Date(2261, 12, 31, 20, 0, 0, 0, west)), eventstore.ErrInvalid)
	err := appendAt(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC))
	require.ErrorContains(t, err, "the clock says 3000-01-01")
}

func TestStore_NewIDMustNotBeZero(t *testing.T) {
	s := open(t, logPath(t), &boltstore.Options{NewID: func() (uuid.UUID, error) { return uuid.Nil, nil }})
	_, err := s.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{{Type: "t"}}})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "zero UUID")
}
