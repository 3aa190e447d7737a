package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README's program is this one, so that it compiles and runs.
func TestReadme_ShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found, "the README has no program")
	shown, _, _ := strings.Cut(rest, "```\n")

	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, program, found := strings.Cut(string(source), "\npackage main")
	require.True(t, found)
	require.Equal(t, "package main"+program, shown)
}

func TestRun_RemembersTheCart(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		require.NoError(t, run(t.Context()))
	}
	require.FileExists(t, "shop.yore")
}
