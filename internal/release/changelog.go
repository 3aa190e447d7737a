package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const unreleased = "## [Unreleased]\n"

var (
	heading = regexp.MustCompile(`(?m)^## \[(\d+)\.(\d+)\.(\d+)\]`)
	link    = regexp.MustCompile(`(?m)^\[Unreleased\]: .*$`)
)

// cutChangelog gives the unreleased section of a changelog a version and a date, and puts
// an empty one above it. The repository is a web address: the links at the foot need it.
func cutChangelog(text, version, date, repository string) (string, error) {
	section, err := unreleasedSection(text)
	if err != nil {
		return "", err
	}
	if !strings.Contains(section, "\n### Disk format\n") {
		return "", errors.New("CHANGELOG.md: the unreleased section does not say what became of the disk format")
	}
	if !link.MatchString(text) {
		return "", errors.New("CHANGELOG.md: the link of [Unreleased] is missing")
	}
	if next := nextVersions(text); !slices.Contains(next, version) {
		return "", fmt.Errorf("the next version is one of %v, not %s", next, version)
	}
	number := strings.TrimPrefix(version, "v")
	text = strings.Replace(text, unreleased, fmt.Sprintf("%s\n## [%s] - %s\n", unreleased, number, date), 1)
	return link.ReplaceAllLiteralString(text, fmt.Sprintf("[Unreleased]: %[1]s/compare/%[2]s...HEAD\n[%[3]s]: %[1]s/releases/tag/%[2]s",
		repository, version, number)), nil
}

// unreleasedSection returns what the changelog says below the heading of the unreleased
// section.
func unreleasedSection(text string) (string, error) {
	_, rest, found := strings.Cut(text, "\n"+unreleased)
	if !found {
		return "", errors.New("CHANGELOG.md has no unreleased section")
	}
	if next := heading.FindStringIndex(rest); next != nil {
		rest = rest[:next[0]]
	}
	return rest, nil
}

// nextVersions returns the versions that can follow the newest one of a changelog, the
// smallest step first.
func nextVersions(text string) []string {
	var n [3]int
	if last := heading.FindStringSubmatch(text); last != nil {
		for i, digits := range last[1:] {
			n[i], _ = strconv.Atoi(digits)
		}
	}
	next := []string{
		fmt.Sprintf("v%d.%d.%d", n[0], n[1], n[2]+1),
		fmt.Sprintf("v%d.%d.0", n[0], n[1]+1),
	}
	if n[0] == 0 { // beyond 1 the paths of the modules would have to change
		next = append(next, "v1.0.0")
	}
	return next
}
