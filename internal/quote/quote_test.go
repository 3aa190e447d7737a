package quote_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/quote"
)

func TestName(t *testing.T) {
	for s, want := range map[string]string{
		"":                          `""`,
		"cart-7":                    `"cart-7"`,
		"a\x00\"\xff":               `"a\x00\"\xff"`,
		strings.Repeat("a", 298):    `"` + strings.Repeat("a", 298) + `"`,
		strings.Repeat("a", 299):    `"` + strings.Repeat("a", 285) + `…" (299 bytes)`,
		strings.Repeat("a", 5000):   `"` + strings.Repeat("a", 284) + `…" (5000 bytes)`,
		strings.Repeat("€", 200):    `"` + strings.Repeat("€", 200) + `"`,
		strings.Repeat("ä", 299):    `"` + strings.Repeat("ä", 285) + `…" (598 bytes)`,
		strings.Repeat("\xff", 100): `"` + strings.Repeat(`\xff`, 71) + `…" (100 bytes)`,
	} {
		require.Equal(t, want, quote.Name(s))
	}
}

func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"":                          "",
		"a\x00\"\xff":               "a\x00\"\xff",
		strings.Repeat("€", 300):    strings.Repeat("€", 300),
		strings.Repeat("€", 301):    strings.Repeat("€", 287) + "… (903 bytes)",
		strings.Repeat("\xff", 301): strings.Repeat("\xff", 287) + "… (301 bytes)",
	} {
		require.Equal(t, want, quote.Text(s))
		require.LessOrEqual(t, utf8.RuneCountInString(quote.Text(s)), 300)
	}
}

// FuzzName checks that a name is in full, or cut between two of its characters.
func FuzzName(f *testing.F) {
	f.Add("cart-7", 1)
	f.Add("a\x00ä\xff\u2028", 100)
	f.Fuzz(func(t *testing.T, part string, times int) {
		if len(part) > 1000 {
			return
		}
		s := strings.Repeat(part, min(max(times, 0), 100))
		quoted := quote.Name(s)
		require.LessOrEqual(t, utf8.RuneCountInString(quoted), 300)
		whole := strconv.Quote(s)
		if quoted == whole {
			return
		}
		begin, length, cut := strings.Cut(quoted, `…" (`)
		require.True(t, cut)
		require.Equal(t, strconv.Itoa(len(s))+" bytes)", length)
		require.True(t, strings.HasPrefix(whole, begin))
		_, err := strconv.Unquote(begin + `"`)
		require.NoError(t, err)
	})
}
