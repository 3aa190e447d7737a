package viewfile

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

func TestRowFormat_TellsAnyChangedBitAndAnyOtherPlace(t *testing.T) {
	key := rowKey("table", []byte("key"))
	for _, value := range [][]byte{{}, []byte("value")} {
		sealed := sealRow("view", key, value)
		got, err := openRow("view", key, sealed)
		require.NoError(t, err)
		require.Equal(t, value, got)

		for bit := range len(sealed) * 8 {
			damaged := append([]byte{}, sealed...)
			damaged[bit/8] ^= 1 << (bit % 8)
			_, err := openRow("view", key, damaged)
			require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
		}
		_, err = openRow("view", rowKey("table", []byte("kez")), sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "another key")
		_, err = openRow("viex", key, sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt, "another view")
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
		sealed := sealCheckpoint("view", c)
		got, err := OpenCheckpoint("view", sealed)
		require.NoError(t, err)
		require.Equal(t, c, got)
		for bit := range len(sealed) * 8 {
			damaged := append([]byte{}, sealed...)
			damaged[bit/8] ^= 1 << (bit % 8)
			_, err := OpenCheckpoint("view", damaged)
			require.ErrorIs(t, err, eventstore.ErrCorrupt, "bit %d", bit)
		}
		_, err = OpenCheckpoint("other", sealed)
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{checkpointFormat, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{checkpointFormat, flagFault, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 8, 1, 't', 2, 'n', 'o', 'd'})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := OpenCheckpoint("view", sealRow("view", nil, body)) // under a right checksum
		if err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			return
		}
		again, err := OpenCheckpoint("view", sealCheckpoint("view", got))
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
