package eventstore_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/reserved"
)

func TestDeriveCommandID(t *testing.T) {
	for want, parts := range map[string][]string{
		"invoice/536365/1": {"invoice", "536365", "1"},
		"a%2Fb/c":          {"a/b", "c"},
		"a/b%2Fc":          {"a", "b/c"},
		"a%25/%":           {"a%", ""},
		"%/%":              {"", ""},
		"%":                {""},
		"%79ore/a":         {"yore", "a"},
		"yore":             {"yore"},
		"%FF%00%0A é":      {"\xff\x00\n é"},
		"%25FF":            {"%FF"},
	} {
		require.Equal(t, want, eventstore.DeriveCommandID(parts[0], parts[1:]...))
	}
	long := strings.Repeat("é", 200)
	id := eventstore.DeriveCommandID(long, "1")
	require.LessOrEqual(t, len(id), 255)
	require.Equal(t, id, eventstore.DeriveCommandID(long, "1"))
	require.NotEqual(t, id, eventstore.DeriveCommandID(long, "2"))
	require.True(t, strings.HasPrefix(id, "éééé"))
	require.Equal(t, strings.Repeat("a", 255), eventstore.DeriveCommandID(strings.Repeat("a", 255)))
}

func TestInboundKey(t *testing.T) {
	require.Equal(t, "yore/in/bank/1", eventstore.InboundKey("bank", "1"))
	require.Equal(t, "yore/in/%/a%2Fb", eventstore.InboundKey("", "a/b"))
	require.NotEqual(t, eventstore.InboundKey("a/b", "c"), eventstore.InboundKey("a", "b/c"))
	long := eventstore.InboundKey("bank", strings.Repeat("x", 300))
	require.Len(t, long, 255)
	require.NotEqual(t, long, eventstore.InboundKey("bank", strings.Repeat("x", 301)))
	for _, key := range []string{long, eventstore.InboundKey("\xff", "\x00")} {
		require.NoError(t, reserved.Key(key), "the layers above take it as a command id")
		require.True(t, utf8.ValidString(key))
	}
	require.NotEqual(t, eventstore.InboundKey("a", "b"), eventstore.DeriveCommandID("yore", "in", "a", "b"))
}

// FuzzDeriveCommandID checks that different parts have different ids, all of them valid.
func FuzzDeriveCommandID(f *testing.F) {
	f.Add("a", "b", "a/b", "")
	f.Add("yore", "x", "%79ore", "x")
	f.Add(strings.Repeat("x", 300), "", "\xff", "%FF")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		first, second := eventstore.DeriveCommandID(a, b), eventstore.DeriveCommandID(c, d)
		require.Equal(t, a == c && b == d, first == second)
		require.NotEqual(t, first, eventstore.DeriveCommandID(a))
		require.NotEqual(t, first, eventstore.DeriveCommandID(a, b, c))
		for _, id := range []string{first, second} {
			require.NotEmpty(t, id)
			require.LessOrEqual(t, len(id), 255)
			require.True(t, utf8.ValidString(id))
			require.NotContains(t, id, "\x00")
			require.NoError(t, reserved.Key(id))
		}
	})
}
