package ceilings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// imports are exports that no store has written.
func imports() []attempt {
	line := func(name string, ceiling int, says string, text func() io.Reader) attempt {
		return attempt{name: "import: " + name, ceiling: ceiling, deadline: 20 * time.Second, do: refusedImport(says, text)}
	}
	const most = 150 // MiB: a line of 24 MiB, and the event in it
	return []attempt{
		line("a million tags in a line", most, "more than 128 tags", func() io.Reader {
			return oneLine(`,"tags":[`, counting(1_000_000, `"tag-%d",`), `"end"]`)
		}),
		line("a million entries of metadata in a line", most, "the metadata has more than", func() io.Reader {
			return oneLine(`,"metadata":{`, counting(1_000_000, `"key-%d":"",`), `"end":""}`)
		}),
		line("a type of 20 MiB", most, "the codec has more than", func() io.Reader {
			return oneLine(`,"codec":"`, same("c", 20<<20), `"`)
		}),
		line("a field's name of 20 MiB", most, "more than 64 bytes", func() io.Reader {
			return oneLine(`,"`, same("f", 20<<20), `":1`)
		}),
		line("a number of 20 MiB", most, "not an integer", func() io.Reader {
			return oneLine(`,"schema_version":1`, same("0", 20<<20), ``)
		}),
		line("a payload nested ten million deep", most, "not JSON", func() io.Reader {
			return oneLine(`,"data":`, io.MultiReader(same("[", 8<<20), same("]", 8<<20)), ``)
		}),
		line("a line that does not end", most, "longer than", func() io.Reader { return oneLine(`,"data":"`, endless("x"), ``) }),
		line("spaces that do not end", most, "longer than", func() io.Reader { return endless(" ") }),
		line("a commit of 65,536 lines with 60 KiB of metadata each", 250, "bytes of payload and metadata", func() io.Reader {
			return &lines{n: 65_536, commit: true, fields: `,"metadata":{"k":"` + strings.Repeat("v", 60<<10) + `"}`}
		}),
		line("a commit of 65,536 lines with 1,000 entries of metadata each", 250, "bytes of payload and metadata", func() io.Reader {
			fields := `,"metadata":{` + numbered(1_000, `"%d":"`+strings.Repeat("v", 50)+`",`) + `"k":""}`
			return &lines{n: 65_536, commit: true, fields: fields}
		}),
		line("a commit of 65,536 lines with 128 long tags each", 350, "bytes of streams, types, codecs and tags", func() io.Reader {
			return &lines{n: 65_536, commit: true, fields: `,"tags":[` + numbered(127, `"`+strings.Repeat("t", 250)+`%d",`) + `"t"]`}
		}),
		line("a commit of 65,536 lines with 128 short tags each", 350, "more than 1048576 tags", func() io.Reader {
			return &lines{n: 65_536, commit: true, fields: `,"tags":[` + numbered(127, `"%d",`) + `"t"]`}
		}),
		{name: "import: 4,000 commits with 60 KiB of metadata each", ceiling: 150, deadline: 20 * time.Second, do: importedAll(4_000)},
	}
}

// refusedImport imports lines that must be refused with a reason, while the reader is asked
// for no more than it takes.
func refusedImport(says string, text func() io.Reader) func(context.Context, *place) error {
	return func(ctx context.Context, c *place) error {
		_, err := boltstore.Import(ctx, c.log(), text(), nil)
		if !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(fmt.Sprint(err), says) {
			return fmt.Errorf("import gives %.200q, and should say %q", fmt.Sprint(err), says)
		}
		return nil
	}
}

// importedAll imports commits of one line, which are all within the limits.
func importedAll(n int) func(context.Context, *place) error {
	return func(ctx context.Context, c *place) error {
		text := &lines{n: n, fields: `,"metadata":{"k":"` + strings.Repeat("v", 60<<10) + `"}`}
		done, err := boltstore.Import(ctx, c.log(), text, nil)
		if err == nil && done.Appended != n {
			err = fmt.Errorf("%d of %d lines were appended", done.Appended, n)
		}
		return err
	}
}

// begin is the beginning of a line.
const begin = `{"position":%d,"commit":{"i":%d,"n":%d},"id":"00000000-0000-0000-0000-000000000001","type":"t","recorded":"2026-01-02T03:04:06Z"`

// oneLine is the line of one event with more fields.
func oneLine(before string, middle io.Reader, after string) io.Reader {
	return io.MultiReader(strings.NewReader(fmt.Sprintf(begin, 1, 0, 1)+before), middle, strings.NewReader(after+"}\n"))
}

// lines are the lines of events, made as they are read.
type lines struct {
	n      int
	commit bool // all are of one commit
	fields string
	next   int
	rest   []byte
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.next == l.n {
			return 0, io.EOF
		}
		i, n := 0, 1
		if l.commit {
			i, n = l.next, l.n
		}
		l.rest = fmt.Appendf(l.rest[:0], begin+"%s}\n", l.next+1, i, n, l.fields)
		l.next++
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// numbered returns n texts, with their number in each.
func numbered(n int, format string) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// counting is numbered as a reader.
func counting(n int, format string) io.Reader {
	i := 0
	var rest []byte
	return readerFunc(func(p []byte) (int, error) {
		for ; i < n && len(rest) < len(p); i++ {
			rest = fmt.Appendf(rest, format, i)
		}
		if len(rest) == 0 {
			return 0, io.EOF
		}
		used := copy(p, rest)
		rest = rest[:copy(rest, rest[used:])]
		return used, nil
	})
}

// same is n times a text of one byte.
func same(text string, n int64) io.Reader { return io.LimitReader(endless(text), n) }

// endless is a text of one byte without end.
func endless(text string) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		for i := range p {
			p[i] = text[0]
		}
		return len(p), nil
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
