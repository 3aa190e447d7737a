package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	first = `# Changelog

## [Unreleased]

### Added

- The log.

### Disk format

- Format 1.

[Unreleased]: https://example.org/yore/commits/main
`
	firstCut = `# Changelog

## [Unreleased]

## [0.1.0] - 2026-12-01

### Added

- The log.

### Disk format

- Format 1.

[Unreleased]: https://example.org/yore/compare/v0.1.0...HEAD
[0.1.0]: https://example.org/yore/releases/tag/v0.1.0
`
)

func TestCutChangelog(t *testing.T) {
	text, err := cutChangelog(first, "v0.1.0", "2026-12-01", "https://example.org/yore")
	require.NoError(t, err)
	require.Equal(t, firstCut, text)

	text = strings.Replace(text, unreleased, unreleased+"\n### Disk format\n\n- As before.\n", 1)
	text, err = cutChangelog(text, "v0.1.1", "2026-12-02", "https://example.org/yore")
	require.NoError(t, err)
	require.Contains(t, text, "## [Unreleased]\n\n## [0.1.1] - 2026-12-02\n\n### Disk format\n\n- As before.\n\n## [0.1.0] - 2026-12-01\n")
	require.True(t, strings.HasSuffix(text, `
[Unreleased]: https://example.org/yore/compare/v0.1.1...HEAD
[0.1.1]: https://example.org/yore/releases/tag/v0.1.1
[0.1.0]: https://example.org/yore/releases/tag/v0.1.0
`), text)
}

func TestCutChangelog_Refuses(t *testing.T) {
	for name, test := range map[string]struct{ text, version, says string }{
		"an empty section":               {firstCut, "v0.2.0", "disk format"},
		"no word on the disk":            {strings.Replace(first, "### Disk format", "### Fixed", 1), "v0.1.0", "disk format"},
		"no section":                     {strings.Replace(first, unreleased, "", 1), "v0.1.0", "no unreleased section"},
		"no link":                        {strings.Replace(first, "\n[Unreleased]", "\n", 1), "v0.1.0", "link"},
		"a version that does not follow": {first, "v0.3.0", "one of [v0.0.1 v0.1.0 v1.0.0], not v0.3.0"},
		"no version":                     {first, "0.1.0", "not 0.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cutChangelog(test.text, test.version, "2026-12-01", "https://example.org/yore")
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestNextVersions(t *testing.T) {
	require.Equal(t, []string{"v0.0.1", "v0.1.0", "v1.0.0"}, nextVersions(first))
	require.Equal(t, []string{"v0.1.1", "v0.2.0", "v1.0.0"}, nextVersions(firstCut))
	require.Equal(t, []string{"v1.9.11", "v1.10.0"}, nextVersions("## [1.9.10] - 2026-12-01\n"+firstCut))
}
