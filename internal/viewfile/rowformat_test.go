package viewfile

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

const testSeed = record.Seed(0x9abcdef0)

var testView = Of(testSeed, "view")

func TestRowFormat_TellsAnyChangedBitAndAnyOtherPlace(t *testing.T) {
	key := rowKey("table", []byte("key"))
	for _, value := range [][]byte{{}, []byte("value")} {
		sealed := sealRow(testView, key, value)
		got, err := openRow(testView, key, sealed)
		require.NoError(t, err)
		require.Equal(t, value, got)

		for bit := range len(sealed) * 8 {
			damaged := append([]byte{}, sealed...)
			damaged[bit/8] ^= 1 << (bit % 8)
			_, err := openRow(testView, key, damaged)
			require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
		}
		_, err = openRow(testView, rowKey("table", []byte("kez")), sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "another key")
		_, err = openRow(Of(testSeed, "viex"), key, sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "another view")
		_, err = openRow(Of(testSeed+1, "view"), key, sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "another store")
		require.ErrorContains(t, err, `table "table", key "key"`)
	}
}

func TestCheckpointFormat_RoundTrips(t *testing.T) {
	for _, c := range []eventstore.Checkpoint{
		{Position: 1},
		{Data: []byte{0, 1}},
		{Position: 1 << 40, Data: []byte("data")},
		{Position: 7, Fault: &eventstore.Fault{Position: 8, Type: "t", Reason: "because"}},
		{Position: 7, Fault: &eventstore.Fault{}, Data: []byte("data")},
	} {
		sealed := sealCheckpoint(testView, c, 1<<40)
		got, generation, err := openCheckpoint(testView, sealed)
		require.NoError(t, err)
		require.Equal(t, c, got)
		require.EqualValues(t, uint64(1<<40), generation)
		for bit := range len(sealed) * 8 {
			damaged := append([]byte{}, sealed...)
			damaged[bit/8] ^= 1 << (bit % 8)
			_, _, err := openCheckpoint(testView, damaged)
			require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
		}
		_, _, err = openCheckpoint(Of(testSeed, "other"), sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{checkpointFormat, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{checkpointFormat, flagFault, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 1, 't', 2, 'n', 'o', 'd'})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, generation, err := openCheckpoint(testView, sealRow(testView, nil, body)) // under a right checksum
		if err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			return
		}
		again, generationAgain, err := openCheckpoint(testView, sealCheckpoint(testView, got, generation))
		require.NoError(t, err)
		require.Equal(t, generation, generationAgain)
		require.Equal(t, got, again)
	})
}
