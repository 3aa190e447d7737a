package quote_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/quote"
)

func TestName(t *testing.T) {
	for _, name := range []string{
		"", "cart-7", "a \"b\"\n\x00\xff\\", "Käse …", strings.Repeat("x", 300), strings.Repeat("ä", 300), strings.Repeat("\xff", 300),
	} {
		require.Equal(t, fmt.Sprintf("%q", name), quote.Name(name), "what is not longer is whole")
	}
	for _, c := range []string{"x", "ä", "\xff", "\n", "\""} {
		require.Equal(t, fmt.Sprintf("%q (%d bytes)", strings.Repeat(c, 300)+"…", 301*len(c)), quote.Name(strings.Repeat(c, 301)))
	}
	require.Less(t, len(quote.Name(strings.Repeat("name", 1<<20))), 400)
}
