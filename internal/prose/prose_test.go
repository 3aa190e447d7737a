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

// A rule is a turn that comments and pages do without.
type rule struct {
	pattern *regexp.Regexp
	advice  string
}

// turn returns the rule for an alternation of words and phrases. A space stands for any
// white space, the start of a comment's next line included.
func turn(words, advice string) rule {
	return rule{regexp.MustCompile(`(?i)\b(` + strings.ReplaceAll(words, " ", `\s+`) + `)\b`), advice}
}

var rules = []rule{
	turn("he|his|him|himself|she|her|hers|herself", "a goroutine, a caller, a program is it"),
	turn("somebody|someone|nobody|anybody|everybody|anyone|everyone|whoever|whom", "name the thing: the caller, another goroutine"),
	turn("so many|so much", "say the number, or that much, or what follows from it"),
	turn("of which|of whom", "begin a new sentence, or say whose"),
	turn("for it is|for they are", "say because or since, or begin a new sentence"),
	turn("had better", "say should or must"),
	turn("in vain", "say what is lost or repeated"),
	turn("(is|are|was|were|be|been) told (by|of)", "say what shows it, or what it receives"),
	turn("as long as it is that", "say while"),
	turn("of theirs|of ours|of its own accord", "name the owner"),
	turn("Error says all that the fields say", "Error implements error."),
}

// people are the nouns behind which "who" may stand. A caller is a goroutine or a piece
// of code, so it is not among them.
var people = regexp.MustCompile(`(?i)\b(author|customer|developer|engineer|member|operator|people|person|reader of a page|student|team|user)s?,?\s+$`)

const nounBytes = 80 // enough for one of them and the start of the next line

var (
	who = turn("who", "who is for people; name the thing, then say what it does")
	// link is the target of a link, which may be the name of a page that is never edited.
	link = regexp.MustCompile(`\]\([^)\s]*\)`)
)

func TestTree_SpeaksPlainly(t *testing.T) {
	findings, files, err := read(os.DirFS(filepath.Join("..", "..")))
	require.NoError(t, err)
	require.Greater(t, files, 600, "files read")
	for _, f := range findings {
		t.Error(f)
	}
}

// TestRead_FindsEachTurn reads a sentence against each rule, and sentences that are near
// to one and allowed.
func TestRead_FindsEachTurn(t *testing.T) {
	against := []string{
		"The writer ends when he has", "Somebody holds the lock", "It reads so many events", "Runs, the last of which",
		"It waits, for it is", "It had better", "It waits in vain", "This is told by", "It stays as long as it is that",
		"A lock of theirs", "Error says all that the fields say", "The goroutine who",
	}
	require.Len(t, against, len(rules)+1)
	for _, sentence := range against {
		findings, files, err := read(fstest.MapFS{"page.md": {Data: []byte("# Page\n\n" + sentence + ".\n")}})
		require.NoError(t, err)
		require.Equal(t, 1, files)
		require.Len(t, findings, 1, sentence)
		require.Regexp(t, `^page\.md:3: `, findings[0])
	}
	for _, sentence := range []string{
		"Users who", "A customer, who", "The header then", "Whose is it", "It is that which", "As long as it is open",
		"[ADR 11](adr/0011-whoever-finds-nobody-writing-writes.md)", "An author who",
	} {
		findings, _, err := read(fstest.MapFS{"page.md": {Data: []byte(sentence + ".\n")}})
		require.NoError(t, err)
		require.Empty(t, findings, sentence)
	}
}

// TestRead_ReadsCommentsAndPages reads a tree with a fault in each place that is read and
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
// files. It passes over directories that the go command ignores.
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

// proseOf returns the text of a page, or of a Go file with everything except its comments
// blanked. It returns nil for other files. Lines keep their numbers.
func proseOf(tree fs.FS, name string) ([]byte, error) {
	if ext := path.Ext(name); ext != ".go" && ext != ".md" {
		return nil, nil
	}
	content, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	if path.Ext(name) == ".md" {
		return link.ReplaceAll(content, []byte("]")), nil
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	text := bytes.Clone(content)
	for i, c := range text {
		if !strings.ContainsRune(" \t\r\n", rune(c)) {
			text[i] = 0 // code, which no turn spans
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			first, last := set.PositionFor(comment.Pos(), false).Offset, set.PositionFor(comment.End(), false).Offset
			copy(text[first:last], content[first:last])
			copy(text[first:], "  ") // the mark, or the turn would not span lines
		}
	}
	return text, nil
}

// check returns the findings in a text, in the order of their lines.
func check(name string, text []byte) []string {
	var places [][]int
	advice := make(map[int]string) // by place
	for _, r := range append(rules, who) {
		for _, at := range r.pattern.FindAllIndex(text, -1) {
			if r == who && people.Match(text[max(0, at[0]-nounBytes):at[0]]) {
				continue
			}
			places = append(places, at)
			advice[at[0]] = r.advice
		}
	}
	slices.SortFunc(places, func(a, b []int) int { return a[0] - b[0] })
	var findings []string
	for _, at := range places {
		line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
		words := strings.Join(strings.Fields(string(text[at[0]:at[1]])), " ")
		findings = append(findings, fmt.Sprintf("%s:%d: %q: %s", name, line, words, advice[at[0]]))
	}
	return findings
}
