package projection_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

type (
	noted  struct{ Text string }
	erased struct{}
	stray  struct{}
)

// journal records the events that were seen.
type journal []string

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func add(t testing.TB, store eventstore.Store, stream eventstore.StreamID, name string, version uint32, data string, tags ...eventstore.Tag) {
	t.Helper()
	commit := eventstore.Commit{Events: []eventstore.NewEvent{{
		Stream: stream, Type: name, SchemaVersion: version, Codec: codec.JSON, Data: []byte(data), Tags: tags,
	}}}
	if stream != "" {
		commit.Expect = []eventstore.Expect{{Stream: stream, At: eventstore.Any}}
	}
	_, err := store.Append(t.Context(), commit)
	require.NoError(t, err)
}
