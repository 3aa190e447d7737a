package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is a fenced block of a page.
type block struct {
	language string
	text     string
	file     string // the last Go file that the page names before the block
}

var (
	fenced = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	named  = regexp.MustCompile("`(\\w+\\.go)`")
)

func blocks(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	require.NoError(t, err)
	text := string(content)
	var found []block
	file, end := "", 0
	for _, at := range fenced.FindAllStringSubmatchIndex(text, -1) {
		for _, name := range named.FindAllStringSubmatch(text[end:at[0]], -1) {
			file = name[1]
		}
		end = at[1]
		found = append(found, block{language: text[at[2]:at[3]], text: text[at[4]:at[5]], file: file})
	}
	require.Equal(t, strings.Count("\n"+text, "\n```"), 2*len(found), "%s has fences that are no block", page)
	require.NotEmpty(t, found)
	return found
}

func source(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}

// The tutorial has the reader make these files: whole files, and lines to add to them, in
// the order of the page.
func TestTutorial_HasTheReaderMakeThisProgram(t *testing.T) {
	made := map[string]string{}
	for _, b := range blocks(t, "tutorial.md") {
		switch {
		case b.language != "go":
			require.Contains(t, []string{"sh", "text"}, b.language, b.text)
		case strings.HasPrefix(b.text, "package main\n"):
			require.NotContains(t, made, b.file, "made twice")
			made[b.file] = b.text
		default:
			require.Contains(t, source(t, b.file), b.text)
			list, rest, found := strings.Cut(made[b.file], ",\n}\n")
			require.True(t, found, "%s has no list to add to", b.file)
			made[b.file] = list + ",\n" + b.text + "}\n" + rest
		}
	}
	for file, text := range made {
		require.Equal(t, source(t, file), text, file)
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	ours := []string{"doc.go", "tutorial_test.go", "decider_howto_test.go", "store_howto_test.go"}
	for _, file := range files {
		if !slices.Contains(ours, file) {
			require.Contains(t, made, file, "the tutorial does not show it")
		}
	}
}

func TestTutorial_ShowsWhatTheProgramPrints(t *testing.T) {
	var shown strings.Builder
	for _, b := range blocks(t, "tutorial.md") {
		if b.language == "text" {
			shown.WriteString(b.text)
		}
	}
	require.Equal(t, printed(t), shown.String())
}

// printed runs the program and returns its standard output.
func printed(t *testing.T) string {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	err = run(t.Context())
	os.Stdout = stdout
	require.NoError(t, err)

	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left, "the program left files behind")
	return source(t, out.Name())
}
