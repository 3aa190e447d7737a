package reserved_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/reserved"
)

func TestNames(t *testing.T) {
	metadata := func(key string) error { return reserved.Metadata(map[string]string{"actor": "yore-", key: ""}) }
	for what, family := range map[string]struct {
		prefix string
		check  func(string) error
	}{
		"type":     {"yore.", reserved.Type},
		"stream":   {"yore.", reserved.Stream},
		"key":      {"yore/", reserved.Key},
		"view":     {"yore/", reserved.View},
		"metadata": {"yore-", metadata},
	} {
		for _, name := range []string{family.prefix, family.prefix + "x"} {
			require.EqualError(t, family.check(name), what+` "`+name+`": names that begin with "`+family.prefix+`" are the library's own`)
		}
		for _, name := range []string{"", "yore", "yoreX", "x" + family.prefix, "Yore" + family.prefix[4:], "yore_"} {
			require.NoError(t, family.check(name), name)
		}
	}
	require.NoError(t, reserved.Key("yore/in/x"), "a key of a message from outside")
	require.Error(t, reserved.Key("yore/inx"))
	require.NoError(t, reserved.Type("yore/x"), "each family has its own beginning")
	require.NoError(t, reserved.Metadata(nil))
	require.ErrorContains(t, reserved.Metadata(map[string]string{"yore-b": "", "yore-a": "", "a": ""}), `"yore-a"`)
}
