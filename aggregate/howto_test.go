package aggregate_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// The how-to shows what is compiled and run here, word for word.
func TestHowTo_ShowsThisCode(t *testing.T) {
	source, err := os.ReadFile("example_long_test.go")
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join("..", "docs", "how-to", "load-long-histories.md"))
	require.NoError(t, err)
	blocks := fenced.FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		for _, part := range strings.Split(strings.TrimSuffix(block[1], "\n"), "\n\n") {
			require.True(t, strings.Contains(string(source), part), "the page shows what is not here:\n%s", part)
		}
	}
}
