package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain runs the program instead of the tests in a process that a test has started.
func TestMain(m *testing.M) {
	if os.Getenv("QUICKSTART_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The README's program is this one, so that it compiles and runs. It is short.
func TestReadme_ShowsThisProgram(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, program, found := strings.Cut(string(source), "\npackage main")
	require.True(t, found)
	program = "package main" + program
	require.Equal(t, program, block(t, "go"))
	require.LessOrEqual(t, strings.Count(program, "\n"), 45)
	_, rest, found := strings.Cut(program, "\nfunc main() {")
	require.True(t, found)
	body, _, found := strings.Cut(rest, "\n}")
	require.True(t, found)
	require.LessOrEqual(t, strings.Count(body, "\n")+2, 15)
}

// The README shows what the program prints when it is run again and again in one
// directory, as "go run" does.
func TestReadme_ShowsWhatItPrints(t *testing.T) {
	shown := block(t, "text")
	runs := strings.Count(shown, "$ go run .\n")
	require.Positive(t, runs)
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	var printed strings.Builder
	for range runs {
		command := exec.Command(program)
		command.Dir, command.Env = dir, append(os.Environ(), "QUICKSTART_MAIN=1")
		output, err := command.CombinedOutput()
		printed.WriteString("$ go run .\n")
		printed.Write(output)
		if err != nil {
			printed.WriteString(err.Error() + "\n")
		}
	}
	clock := regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d `)
	require.Equal(t, clock.ReplaceAllString(shown, ""), clock.ReplaceAllString(printed.String(), ""))
}

// block returns the first code block of the README that is marked with this language.
func block(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```"+language+"\n")
	require.True(t, found, "the README has no block of %s", language)
	shown, _, _ := strings.Cut(rest, "```\n")
	return shown
}
