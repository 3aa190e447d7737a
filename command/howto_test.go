package command_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var fenced = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// The how-tos show what is compiled and run here, word for word.
func TestHowTos_ShowThisCode(t *testing.T) {
	for name, file := range map[string]string{
		"send-commands-together.md": "example_batch_test.go",
		"trace-commands.md":         "example_hooks_test.go",
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		page, err := os.ReadFile(filepath.Join("..", "docs", "how-to", name))
		require.NoError(t, err)
		blocks := fenced.FindAllStringSubmatch(string(page), -1)
		require.NotEmpty(t, blocks, name)
		for _, block := range blocks {
			for _, part := range strings.Split(strings.TrimSuffix(block[1], "\n"), "\n\n") {
				require.True(t, strings.Contains(string(source), part), "%s shows what is not here:\n%s", name, part)
			}
		}
	}
}
