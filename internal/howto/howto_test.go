package howto_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sources lists the files that have the code of each page.
var sources = map[string][]string{
	"back-up-and-restore.md": {
		"eventstore/boltstore/example_backup_test.go", "eventstore/boltstore/example_restore_test.go",
		"eventstore/boltstore/example_verifybackup_test.go", "eventstore/boltstore/example_compact_test.go",
		"eventstore/boltstore/example_reindex_test.go",
	},
	"build-a-read-model.md":                  {"projection/example_view_test.go", "projection/example_readmodel_test.go"},
	"check-and-repair.md":                    {"eventstore/boltstore/example_verify_test.go", "eventstore/boltstore/example_salvage_test.go"},
	"change-an-event.md":                     {"examples/cart/evolution_howto_test.go"},
	"close-the-books.md":                     {"examples/boundaries/*.go"},
	"decide-across-streams.md":               {"examples/boundaries/*.go", "examples/boundaries/todo/main.go"},
	"export-and-import.md":                   {"eventstore/boltstore/example_export_test.go", "eventstore/boltstore/example_import_test.go"},
	"load-long-histories.md":                 {"aggregate/example_long_test.go"},
	"operate.md":                             {"examples/server/*.go"},
	"put-it-in-a-server.md":                  {"examples/server/*.go"},
	"record-a-refusal.md":                    {"examples/boundaries/*.go"},
	"refuse-outdated-commands.md":            {"command/example_if_test.go"},
	"rename-an-event.md":                     {"examples/cart/evolution_howto_test.go", "examples/cart/evolution_test.go"},
	"send-commands-together.md":              {"command/example_batch_test.go"},
	"trace-commands.md":                      {"command/example_hooks_test.go"},
	"test-a-decider.md":                      {"examples/tutorial/decider_howto_test.go"},
	"hold-your-own-store-to-the-contract.md": {"examples/tutorial/store_howto_test.go"},
	"wait-for-a-view.md":                     {"examples/boundaries/*.go"},
}

var fenced = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestPages_ShowCompiledCode looks for each paragraph of a code block by itself,
// since a block may leave out code between its paragraphs.
func TestPages_ShowCompiledCode(t *testing.T) {
	root := filepath.Join("..", "..")
	for page, files := range sources {
		t.Run(page, func(t *testing.T) {
			source := read(t, root, files)
			text, err := os.ReadFile(filepath.Join(root, "docs", "how-to", page))
			require.NoError(t, err)
			blocks := fenced.FindAllStringSubmatch(string(text), -1)
			require.NotEmpty(t, blocks)
			for _, block := range blocks {
				for part := range strings.SplitSeq(strings.TrimSuffix(block[1], "\n"), "\n\n") {
					require.True(t, strings.Contains(source, part), "the page shows what is in none of %v:\n%s", files, part)
				}
			}
		})
	}
}

func read(t *testing.T, root string, patterns []string) string {
	var all strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			all.Write(content)
		}
	}
	return all.String()
}
