package projection_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// person is a row, and JSON changes each of its parts: text that is cut within a character, a
// time in a zone with seconds, a field that is left out, a number in an any.
type person struct {
	Initial string
	Born    time.Time
	Note    string `json:"-"`
	Number  any
	Nick    nick
}

// nick is read in capitals.
type nick string

func (n nick) MarshalText() ([]byte, error)     { return []byte(n), nil }
func (n *nick) UnmarshalText(text []byte) error { *n = nick(strings.ToUpper(string(text))); return nil }

func newPerson(name string) person {
	born := time.Date(1890, 1, 1, 0, 0, len(name), 0, time.FixedZone("AMT", 19*60+32))
	return person{Initial: name[:1], Born: born, Note: name, Number: int64(1)<<60 + int64(len(name)), Nick: nick(name)}
}

// people has an index for each part, and one is unique.
type people struct {
	*projection.Projection
	rows    *projection.Table[int, person]
	unique  *projection.Index[int, person, string]
	indexes map[string]*projection.Index[int, person, string]
	keys    map[string]func(person) (string, bool)
}

func newPeople() *people {
	p := &people{Projection: projection.New("people", 1)}
	p.rows = projection.NewTable[int, person](p.Projection, "rows")
	p.keys = map[string]func(person) (string, bool){
		"born":   func(p person) (string, bool) { return p.Born.UTC().String(), true },
		"note":   func(p person) (string, bool) { return p.Note, p.Note == "" },
		"number": func(p person) (string, bool) { return fmt.Sprintf("%T %v", p.Number, p.Number), true },
		"nick":   func(p person) (string, bool) { return string(p.Nick), true },
	}
	p.indexes = make(map[string]*projection.Index[int, person, string])
	for name, of := range p.keys {
		p.indexes[name] = projection.NewIndex(p.rows, name, of)
	}
	p.unique = projection.NewUnique(p.rows, "initial", func(p person) (string, bool) { return p.Initial, true })
	projection.On(p.Projection, func(tx projection.Tx, e fold.Event[noted]) error {
		var id int
		var name string
		if _, err := fmt.Sscan(e.Data.Text, &id, &name); err != nil {
			return err
		}
		var twice *projection.UniqueError
		var err error
		switch rows := p.rows.In(tx); {
		case name == "-":
			return rows.Delete(id)
		case name[0] >= 'a':
			err = rows.Update(id, func(person) person { return newPerson(name) })
		default:
			err = rows.Put(id, newPerson(name))
		}
		if errors.As(err, &twice) {
			return nil
		}
		return err
	})
	return p
}

// check compares each index with the rows.
func (p *people) check(t *testing.T, from projection.Reader) (rows map[int]person) {
	t.Helper()
	rows = make(map[int]person)
	want := make(map[string][]string)
	for row, err := range p.rows.Scan(t.Context(), from, projection.Range[int]{}) {
		require.NoError(t, err)
		rows[row.Key] = row.Value
		for name, of := range p.keys {
			if key, listed := of(row.Value); listed {
				want[name] = append(want[name], fmt.Sprintf("%s %d", key, row.Key))
			}
		}
		found, ok, err := p.unique.Get(t.Context(), from, row.Value.Initial)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, row.Key, found.Key)
	}
	for name, index := range p.indexes {
		var got []string
		for row, err := range index.Scan(t.Context(), from, projection.Range[string]{}) {
			require.NoError(t, err)
			require.Equal(t, rows[row.Key], row.Value)
			key, _ := p.keys[name](row.Value)
			got = append(got, fmt.Sprintf("%s %d", key, row.Key))
		}
		require.ElementsMatch(t, want[name], got, "index %s", name)
	}
	entries := 0
	for _, err := range p.unique.Scan(t.Context(), from, projection.Range[string]{}) {
		require.NoError(t, err)
		entries++
	}
	require.Len(t, rows, entries)
	return rows
}

func TestIndex_OfTheRowAsItIsRead(t *testing.T) {
	store, registry, p := newStore(t), shopRegistry(t), newPeople()
	for _, text := range []string{"1 Émile", "1 Bob", "2 Élise"} {
		add(t, store, "", "noted", 1, fmt.Sprintf(`{"Text":%q}`, text))
	}
	view, err := projection.Build(t.Context(), store, registry, p.Projection, nil)
	require.NoError(t, err)
	rows := p.check(t, view)
	require.Equal(t, "B", rows[1].Initial)
	require.Equal(t, "\ufffd", rows[2].Initial, "the entry of Émile is gone")
	require.Equal(t, json.Number("1152921504606846979"), rows[1].Number, "with all digits")
}

// TestIndex_MatchesItsRows puts, updates and deletes rows at random, attached and not.
func TestIndex_MatchesItsRows(t *testing.T) {
	names := []string{"Émile", "Bob", "Élise", "édith", "anna", "Ärzte", "Zoë", "-", "\u2028x", "écrit"}
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 0))
		store, registry, attached, run := newStore(t), shopRegistry(t), newPeople(), newPeople()
		views := newHost(t, store, registry)
		require.NoError(t, views.Attach(t.Context(), attached.Projection))
		for range 60 {
			text := fmt.Sprintf("%d %s", random.IntN(4), names[random.IntN(len(names))])
			add(t, store, "", "noted", 1, fmt.Sprintf(`{"Text":%q}`, text))
			attached.check(t, store)
		}
		view, err := projection.Build(t.Context(), store, registry, run.Projection, nil)
		require.NoError(t, err)
		require.Equal(t, attached.check(t, store), run.check(t, view))
	}
}

// moody is a row that only its value shows to be so.
type moody struct{ Nick fussy }

type fussy string

func (f fussy) MarshalText() ([]byte, error) { return []byte(f), nil }
func (f *fussy) UnmarshalText(text []byte) error {
	if string(text) == "bad" {
		return errors.New("bad is no name")
	}
	*f = fussy(text)
	return nil
}

func TestTable_RowsThatCouldNotBeRead(t *testing.T) {
	p := projection.New("unreadable", 1)
	rows := projection.NewTable[int, moody](p, "rows")
	projection.On(p, func(tx projection.Tx, e fold.Event[noted]) error {
		return rows.In(tx).Put(1, moody{fussy(e.Data.Text)})
	})
	store, registry := newStore(t), shopRegistry(t)
	add(t, store, "", "noted", 1, `{"Text":"good"}`)
	add(t, store, "", "noted", 1, `{"Text":"bad"}`)
	_, err := projection.Build(t.Context(), store, registry, p, nil)
	var failed *projection.HandlerError
	require.ErrorAs(t, err, &failed)
	require.EqualValues(t, 2, failed.Position)
	require.ErrorContains(t, err, `table "rows": row 1: it could not be read back: bad is no name`)
}

// TestTable_TypesThatCannotBeRead has rows of the types that no event may have.
func TestTable_TypesThatCannotBeRead(t *testing.T) {
	type base struct{ ID string }
	declared := func(declare func(*projection.Projection)) string {
		p := projection.New("p", 1)
		declare(p)
		projection.On(p, func(projection.Tx, fold.Event[noted]) error { return nil })
		_, err := projection.Build(t.Context(), newStore(t), shopRegistry(t), p, nil)
		return fmt.Sprint(err)
	}
	for fault, declare := range map[string]func(*projection.Projection){
		`table "t": an unexported field is not stored; export it or tag it json:"-" (struct { n int }.n)`: func(p *projection.Projection) {
			projection.NewTable[string, struct{ n int }](p, "t")
		},
		`a field is not stored, because`: func(p *projection.Projection) {
			projection.NewTable[string, struct {
				base
				ID int
			}](p, "t")
		},
		`has MarshalJSON from the embedded time.Time`: func(p *projection.Projection) {
			projection.NewTable[string, struct {
				time.Time
				Note string
			}](p, "t")
		},
		`JSON cannot tell which error`: func(p *projection.Projection) { projection.NewTable[string, error](p, "t") },
	} {
		require.Contains(t, declared(declare), fault)
	}
	require.Equal(t, "<nil>", declared(func(p *projection.Projection) {
		projection.NewTable[string, any](p, "a")
		projection.NewTable[string, *base](p, "b")
		projection.NewTable[string, map[string][]time.Time](p, "c")
	}))
}
