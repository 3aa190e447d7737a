package howto_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
	inline  = regexp.MustCompile("`[^`\n]*`")
)

// TestPages_LinksLeadSomewhere looks for the file of each relative link in the Markdown
// files of the repository, and for the heading that it names.
func TestPages_LinksLeadSomewhere(t *testing.T) {
	root := os.DirFS(filepath.Join("..", ".."))
	links := 0
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".md" {
			return err
		}
		page, err := fs.ReadFile(root, name)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(inline.ReplaceAllString(prose(page), ""), -1) {
			if target := match[1]; !strings.Contains(target, ":") {
				links++
				follow(t, root, name, target)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, links, 100, "links followed")
}

// prose returns a page without its blocks of code.
func prose(page []byte) string { return fence.ReplaceAllString(string(page), "") }

func follow(t *testing.T, root fs.FS, from, target string) {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if _, err := fs.Stat(root, to); err != nil {
		t.Errorf("%s links to %s, which is not there", from, target)
		return
	}
	if anchor == "" {
		return
	}
	page, err := fs.ReadFile(root, to)
	require.NoError(t, err)
	for _, match := range heading.FindAllStringSubmatch(prose(page), -1) {
		if anchorOf(match[1]) == anchor {
			return
		}
	}
	t.Errorf("%s links to %s, and there is no such heading", from, target)
}

// anchorOf returns the anchor that forges make of a heading.
func anchorOf(title string) string {
	return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
}
