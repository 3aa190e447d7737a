package eventstore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

func TestMetadata_Accessors(t *testing.T) {
	metadata := eventstore.Metadata{
		eventstore.CorrelationID: "1", eventstore.CausationID: "2", eventstore.CommandID: "3",
		eventstore.Actor: "4", eventstore.Traceparent: "5",
	}
	require.Equal(t, "1", metadata.CorrelationID())
	require.Equal(t, "2", metadata.CausationID())
	require.Equal(t, "3", metadata.CommandID())
	require.Equal(t, "4", metadata.Actor())
	require.Equal(t, "5", metadata.Traceparent())
	require.Empty(t, eventstore.Metadata(nil).Actor())
}

func TestMetadata_InContext(t *testing.T) {
	ctx := context.Background()
	require.Nil(t, eventstore.MetadataFrom(ctx))

	ctx = eventstore.WithCorrelationID(ctx, "1")
	ctx = eventstore.WithCausationID(ctx, "2")
	ctx = eventstore.WithCommandID(ctx, "3")
	ctx = eventstore.WithActor(ctx, "4")
	ctx = eventstore.WithTraceparent(ctx, "5")
	ctx = eventstore.WithMetadata(ctx, eventstore.Metadata{"tenant": "6"})
	require.Equal(t, eventstore.Metadata{
		"correlation-id": "1", "causation-id": "2", "command-id": "3", "actor": "4", "traceparent": "5", "tenant": "6",
	}, eventstore.MetadataFrom(ctx))
}

func TestMetadata_InContext_LaterWins(t *testing.T) {
	outer := eventstore.WithActor(context.Background(), "outer")
	inner := eventstore.WithActor(outer, "inner")
	require.Equal(t, "inner", eventstore.MetadataFrom(inner).Actor())
	require.Equal(t, "outer", eventstore.MetadataFrom(outer).Actor(), "the outer context keeps its own")
}

func TestMetadata_InContext_IsCopied(t *testing.T) {
	given := eventstore.Metadata{"k": "v"}
	ctx := eventstore.WithMetadata(context.Background(), given)
	given["k"] = "changed"
	taken := eventstore.MetadataFrom(ctx)
	require.Equal(t, "v", taken["k"])
	taken["k"] = "changed"
	require.Equal(t, "v", eventstore.MetadataFrom(ctx)["k"])
}
