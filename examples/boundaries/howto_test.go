package main

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
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files = append(files, filepath.Join("todo", "main.go"))
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(content)
	}
	source := all.String()
	for _, page := range []string{"decide-across-streams", "close-the-books", "record-a-refusal", "wait-for-a-view"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "docs", "how-to", page+".md"))
		require.NoError(t, err)
		blocks := fenced.FindAllStringSubmatch(string(content), -1)
		require.NotEmpty(t, blocks, page)
		for _, block := range blocks {
			for _, part := range strings.Split(block[1], "\n\n") {
				require.True(t, strings.Contains(source, part), "%s shows what is not here:\n%s", page, part)
			}
		}
	}
}
