package eventstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

// The numbers are written in two places for people: the comment of StandardLimits and the
// page of the limits. Both have a line for each field, with its value.
func TestStandardLimits_AreWrittenDown(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "explanation", "limits.md"))
	require.NoError(t, err)
	comment, err := os.ReadFile("limits.go")
	require.NoError(t, err)
	limits := reflect.ValueOf(eventstore.StandardLimits())
	for i := range limits.NumField() {
		field := limits.Type().Field(i).Name
		value := inWords(field, limits.Field(i).Int())
		require.Contains(t, string(page), fmt.Sprintf("| `%s` | %s |", field, value))
		require.Regexp(t, regexp.MustCompile(`(?m)^//\t`+field+` +`+regexp.QuoteMeta(value)+`\b`), string(comment))
	}
}

// inWords returns the value of a field as the documentation writes it: "65,536", "16 MiB".
func inWords(field string, n int64) string {
	if bytes := strings.HasSuffix(field, "Bytes"); bytes && n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	} else if bytes && n >= 64<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
