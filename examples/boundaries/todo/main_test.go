package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func Example() {
	main()
	// Output:
	// main.NameList{1 Today}: position 1, error <nil>
	// main.AddItem{1 tea}: position 2, error <nil>
	// main.CompleteItem{1 tea}: position 3, error <nil>
	// main.CompleteItem{1 rest}: position 0, error there is no such item
	// main.NameList{2 Today}: position 0, error there is a list of this title
	// main.NameList{1 Yesterday}: position 4, error <nil>
	// main.NameList{2 Today}: position 5, error <nil>
	// main.AddItem{2 rest}: position 6, error <nil>
}

func TestProgram_IsShort(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Less(t, strings.Count(string(source), "\n"), 120)
}
