package projection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yore-es/yore/internal/quote"
)

// tables lists the tables and indexes of a projection with the kinds of their keys, in
// which a program that reads rows must agree with the one that wrote them. It has a first
// line and a line for each; "" means that the tables are not known.
type tables string

// tablesLimit bounds the bytes of the tables in a build of the pointer, which has several
// builds. The tables of a projection that has hundreds of them are not known.
const tablesLimit = 8 << 10

func tablesOf(shapes []*tableShape) tables {
	all := tables(strings.Join(append([]string{"tables"}, tableLines(shapes)...), "\n"))
	if len(all) > tablesLimit {
		return ""
	}
	return all
}

// tableLines returns a line for each table and index. They are on disk, so they must not
// change from release to release.
func tableLines(shapes []*tableShape) []string {
	var lines []string
	for _, t := range shapes {
		lines = append(lines, t.line())
		for _, i := range t.indexes {
			lines = append(lines, t.indexLine(i))
		}
	}
	slices.Sort(lines) // so that the order of declarations does not matter
	return lines
}

func (t *tableShape) line() string { return fmt.Sprintf("table %q %s", t.name, keyShape(t.key)) }

func (t *tableShape) indexLine(i indexShape) string {
	return fmt.Sprintf("table %q index %q %s unique %t", t.name, i.name, keyShape(i.key), i.unique)
}

// without returns the lines that are not in others.
func (t tables) without(others tables) []string {
	had := strings.Split(string(others), "\n")
	return slices.DeleteFunc(strings.Split(string(t), "\n"), func(line string) bool { return slices.Contains(had, line) })
}

// checkTables returns an error that names the differences if the build lacks a declared
// table. A program that reads rows need not declare all tables.
func (b build) checkTables(declared tables) error {
	if b.Tables == declared || b.Tables == "" || declared == "" {
		return nil
	}
	missing := declared.without(b.Tables)
	if len(missing) == 0 {
		return nil
	}
	text := quote.Text(strings.Join(missing, ", "))
	if others := b.Tables.without(declared); len(others) > 0 {
		text += ", but with " + quote.Text(strings.Join(others, ", "))
	}
	return invalidf("version %d was built without %s: raise the version, or Rebuild", b.Version, text)
}
