package record_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// TestFormat_IsAsTheReferenceSays compares the bytes of an event's record with the
// example in docs/reference/format.md.
func TestFormat_IsAsTheReferenceSays(t *testing.T) {
	event := eventstore.NewEvent{
		Stream: "cart-7", ID: uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab"),
		Type: "cart.item-added", SchemaVersion: 1, Codec: "json",
		Data:     []byte(`{"sku":"A1"}`),
		Metadata: eventstore.Metadata{"actor": "ann"},
		Tags:     []eventstore.Tag{"sku:A1"},
		Time:     time.Date(2011, 12, 9, 12, 50, 0, 7, time.UTC),
	}
	rec := record.Append(nil, &event, record.Place{I: 0, N: 1}, record.Mark{Key: "command-1", Digest: []byte{0xab, 0xcd}})
	record.Seal(rec, seed, before, 3, 2, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "format.md"))
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(rec), drawn(t, string(page)), "docs/reference/format.md draws another record")
}

// drawn returns the hexadecimal bytes of the table under the heading "An example
// record": those between the first two bars of each row.
func drawn(t *testing.T, page string) string {
	_, section, found := strings.Cut(page, "### An example record")
	require.True(t, found)
	var all strings.Builder
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if strings.HasPrefix(line, "#") {
			break
		}
		if len(cells) > 2 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			all.WriteString(strings.NewReplacer("`", "", " ", "").Replace(cells[1]))
		}
	}
	return all.String()
}
