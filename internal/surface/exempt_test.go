package surface_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exemption is a name that needs no example, and the reason. A name that ends in ".*" means
// all fields and methods of a type.
type exemption struct {
	name   string
	needed bool
}

type exemptionList []*exemption

// exemptions reads testdata/exempt.txt: in each line a name, a colon and a reason.
func exemptions(t *testing.T) exemptionList {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "exempt.txt"))
	require.NoError(t, err)
	var list exemptionList
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		require.True(t, ok && strings.TrimSpace(reason) != "", "exempt.txt gives no reason: %s", line)
		list = append(list, &exemption{name: name})
	}
	return list
}

// covers reports whether a name needs no example.
func (list exemptionList) covers(name string) bool {
	covered := false
	for _, e := range list {
		members, all := strings.CutSuffix(e.name, "*")
		if name == e.name || all && strings.HasPrefix(name, members) {
			e.needed, covered = true, true
		}
	}
	return covered
}

// requireNeeded fails for an exemption of what is shown, or is not there.
func (list exemptionList) requireNeeded(t *testing.T) {
	t.Helper()
	for _, e := range list {
		if !e.needed {
			t.Errorf("exempt.txt names %s, which is shown by an example or does not exist", e.name)
		}
	}
}
