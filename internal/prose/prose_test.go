package prose_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// rule is a turn that comments and pages do without.
type rule struct {
	turn    *regexp.Regexp
	advice  string
	allowed *regexp.Regexp // text in which the turn may stand; nil for none
}

// turn returns the regular expression of words and phrases, separated by "|". A space
// stands for white space with at most one line end, so the expression finds a phrase that
// goes on in the next line of a comment, and none that goes on in the next paragraph.
func turn(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(` + strings.ReplaceAll(words, " ", `[ \t\r]*(?:[ \t\r]|\n)[ \t\r]*`) + `)\b`)
}

// people are the nouns for people, without their plural s. A caller and a reader are
// goroutines, so they are not among them.
const people = "author|customer|developer|engineer|guest|member|operator|people|person|student|team|user"

var rules = []rule{
	{turn("who"), "who is for people; name the thing, then say what it does", turn("(" + people + ")s?,? who")},
	{turn("he|his|him|himself|she|her|hers|herself"), "a goroutine, a caller, a program is it", nil},
	{turn("somebody|someone|nobody|anybody|anyone|everybody|everyone|whoever|whom"), "name the subject: the caller, another goroutine", nil},
	{turn("so many|so much"), "say how many, or how much", nil},
	{turn("of which|of whom"), "begin a new sentence, or say whose", nil},
	{turn("for it is|for they are"), "say because or since", nil},
	{turn("had better"), "say should or must", nil},
	{turn("in vain"), "say what is lost or repeated", nil},
	{turn("(is|are|was|were|be|been) told (by|of)"), "say what shows it, or what it receives", nil},
	{turn("as long as it is that"), "say while", nil},
	{turn("of theirs|of ours"), "name the owner", nil},
	{turn("such"), "name the thing again", turn("such as|such an?|no such")},
	{turn("Error says all that the fields say"), "Error implements error.", nil},
}

// target is the target of a link. It may name a page that is never edited.
var target = regexp.MustCompile(`\]\([^)\s]*\)`)

func TestTree_SpeaksPlainly(t *testing.T) {
	findings, files, err := read(os.DirFS(filepath.Join("..", "..")))
	require.NoError(t, err)
	require.Greater(t, files, 600, "files read")
	for _, f := range findings {
		t.Error(f)
	}
}

// TestRead_FindsEachTurn reads a sentence against each rule, and sentences near to one
// that are allowed.
func TestRead_FindsEachTurn(t *testing.T) {
	against := []string{
		"The goroutine who waits", "The writer ends when he has", "Somebody holds the lock", "It reads so many events",
		"Runs, the last of which", "It waits, for it is", "It had better", "It waits in vain", "This is told by",
		"It stays as long as it is that", "A lock of theirs", "It counts such events", "Error says all that the fields say",
	}
	require.Len(t, against, len(rules))
	for i, sentence := range against {
		findings, files, err := read(fstest.MapFS{"page.md": {Data: []byte("# Page\n\n" + sentence + ".\n")}})
		require.NoError(t, err)
		require.Equal(t, 1, files)
		require.Len(t, findings, 1, sentence)
		require.Regexp(t, `^page\.md:3: .*: `+regexp.QuoteMeta(rules[i].advice)+`$`, findings[0])
	}
	for _, sentence := range []string{
		"Users who", "A customer, who", "A user\nwho", "The header then", "Whose is it", "It is that which", "As long as it is open",
		"Things such as this", "No such file", "Such a file", "Speak of\n\nwhich is", "So, much of it",
		"[ADR 11](adr/0011-whoever-finds-nobody-writing-writes.md)",
	} {
		findings, _, err := read(fstest.MapFS{"page.md": {Data: []byte(sentence + ".\n")}})
		require.NoError(t, err)
		require.Empty(t, findings, sentence)
	}
}

// TestRead_ReadsCommentsAndPages reads a tree with a turn in each place that is read and
// in each that is not.
func TestRead_ReadsCommentsAndPages(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tree := fstest.MapFS{
		"README.md":          file("One page\nwho speaks"),
		"docs/adr/0001-a.md": file("nobody"),
		"docs/how-to/a.md":   file("nobody"),
		"a/a.go":             file("package a\n\n// A runs,\n// the last of\n// which counts.\nvar of = `nobody` // nobody else\n"),
		"a/a_test.go":        file("package a\n\n/* It is\nnobody's. */\n\nfunc f() {\n\t_ = \"of\" // of\n\t_ = 1 // which\n}\n"),
		"a/testdata/a.go":    file("// nobody"),
		".hidden/a.md":       file("nobody"),
		"nested/go.mod":      file("module nested"),
		"nested/b/b.go":      file("package b // nobody"),
	}
	findings, files, err := read(tree)
	require.NoError(t, err)
	require.Equal(t, 5, files)
	var places []string
	for _, f := range findings {
		places = append(places, f[:strings.Index(f, ": ")])
	}
	require.Equal(t, []string{"README.md:2", "a/a.go:4", "a/a.go:6", "a/a_test.go:4", "docs/how-to/a.md:1", "nested/b/b.go:1"}, places)
	_, _, err = read(fstest.MapFS{"a.go": file("no Go")})
	require.Error(t, err)
}

// read returns the findings in the Go files and the pages of a tree, and the number of the
// files. It skips directories that the go command ignores.
func read(tree fs.FS) (findings []string, files int, err error) {
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), "_") || entry.Name() == "testdata" || name == "docs/adr") {
				return fs.SkipDir
			}
			return nil
		}
		text, err := proseOf(tree, name)
		if text != nil {
			files++
			findings = append(findings, check(name, text)...)
		}
		return err
	})
	return findings, files, err
}

// proseOf returns the text of a page without the targets of links, or the comments of a Go
// file with the code blanked. Lines keep their numbers. It returns nil for other files.
func proseOf(tree fs.FS, name string) ([]byte, error) {
	if ext := path.Ext(name); ext != ".go" && ext != ".md" {
		return nil, nil
	}
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	if path.Ext(name) == ".md" {
		return target.ReplaceAll(content, []byte("]")), nil
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	text := blank(content)
	for _, group := range file.Comments {
		for _, comment := range group.List {
			first, last := set.PositionFor(comment.Pos(), false).Offset, set.PositionFor(comment.End(), false).Offset
			copy(text[first:last], content[first:last])
			copy(text[first:], "  ") // the mark, so that a turn can go on in the next line
		}
	}
	return text, nil
}

// blank returns a text with NULs in place of everything except white space. No turn spans
// a NUL.
func blank(text []byte) []byte {
	blanked := bytes.Clone(text)
	for i, c := range blanked {
		if !strings.ContainsRune(" \t\r\n", rune(c)) {
			blanked[i] = 0
		}
	}
	return blanked
}

// check returns the findings in a text, in the order of their lines.
func check(name string, text []byte) []string {
	var places [][]int
	advice := make(map[int]string) // by place
	for _, r := range rules {
		checked := text
		if r.allowed != nil {
			checked = r.allowed.ReplaceAllFunc(text, blank)
		}
		for _, place := range r.turn.FindAllIndex(checked, -1) {
			places = append(places, place)
			advice[place[0]] = r.advice
		}
	}
	slices.SortFunc(places, func(a, b []int) int { return a[0] - b[0] })
	var findings []string
	for _, place := range places {
		line := 1 + bytes.Count(text[:place[0]], []byte("\n"))
		words := strings.Join(strings.Fields(string(text[place[0]:place[1]])), " ")
		findings = append(findings, fmt.Sprintf("%s:%d: %q: %s", name, line, words, advice[place[0]]))
	}
	return findings
}
