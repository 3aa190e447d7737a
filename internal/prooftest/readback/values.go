package readback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

type (
	texts struct {
		Name  string
		Tags  []string
		Names map[string]string
		Next  *texts
	}
	times struct {
		At  time.Time
		All map[string]time.Time
	}
	plain struct {
		Name string
		N    int
		At   time.Time
	}
	numbers struct {
		N int64
		X any
		M map[string]any
	}
	left struct {
		Kept    string
		Ignored string `json:"-"`
		List    []int  `json:",omitempty"`
	}
	// nick is read in capitals; fussy is written but not always read.
	nick  string
	fussy string
	own   struct {
		Nick  nick
		Fussy fussy
	}
)

func (n nick) MarshalText() ([]byte, error)     { return []byte(n), nil }
func (n *nick) UnmarshalText(text []byte) error { *n = nick(strings.ToUpper(string(text))); return nil }

func (f fussy) MarshalText() ([]byte, error) { return []byte(f), nil }
func (f *fussy) UnmarshalText(text []byte) error {
	if string(text) == "bad" {
		return errors.New("bad is not taken")
	}
	*f = fussy(text)
	return nil
}

// kind is a type of values. JSON changes some of them.
type kind[T any] struct {
	name string
	// random returns a value.
	random func(*rand.Rand) T
	// kept reports whether JSON keeps the value, as far as it is stored.
	kept func(T) bool
	// text says what is in a value, the parts that are not stored left out. Two values
	// that mean the same have one text.
	text func(T) string
	// readable reports whether the JSON of the value can be decoded; nil: always.
	readable func(T) bool
}

// zones are in whole minutes, and not.
var zones = []*time.Location{time.UTC, time.FixedZone("", 5400), time.FixedZone("AMT", 1172), time.FixedZone("", -1)}

func word(r *rand.Rand) string {
	return []string{"", "a", "Émile", "caf\xe9", "\xc3", "\xff\xfe", "\ufffd", "\u2028<&>", "\x00"}[r.IntN(9)]
}

func valid(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return strings.ToValidUTF8(s, "") != s })
}

func moment(r *rand.Rand) time.Time {
	return time.Unix(r.Int64N(1<<32), r.Int64N(2)).In(zones[r.IntN(len(zones))])
}

func whole(t time.Time) bool {
	_, offset := t.Zone()
	return offset%60 == 0
}

func large(r *rand.Rand) int64 { return r.Int64N(1<<62) + 1<<53 }

func valueCases() []testCase { return slices.Concat(textCases(), otherCases()) }

func textCases() []testCase {
	return slices.Concat(
		kind[texts]{
			name: "text",
			random: func(r *rand.Rand) texts {
				return texts{word(r), []string{word(r)}, map[string]string{word(r): word(r)}, &texts{Name: word(r)}}
			},
			kept: func(v texts) bool {
				return valid(slices.Concat([]string{v.Name, v.Next.Name}, v.Tags, slices.Collect(maps.Keys(v.Names)), slices.Collect(maps.Values(v.Names)))...)
			},
			text: func(v texts) string { return fmt.Sprintf("%q %q %q %q", v.Name, v.Tags, v.Names, v.Next.Name) },
		}.cases(),
		kind[plain]{
			name:   "plain values",
			random: func(r *rand.Rand) plain { return plain{word(r), r.IntN(9), moment(r)} },
			kept:   func(v plain) bool { return valid(v.Name) && whole(v.At) },
			text:   func(v plain) string { return fmt.Sprintf("%q %d %v", v.Name, v.N, v.At.UTC()) },
		}.cases(),
		kind[times]{
			name: "times",
			random: func(r *rand.Rand) times {
				return times{moment(r), map[string]time.Time{"a": moment(r)}}
			},
			kept: func(v times) bool { return whole(v.At) && whole(v.All["a"]) },
			text: func(v times) string { return fmt.Sprint(v.At.UTC(), v.All["a"].UTC()) },
		}.cases(),
	)
}

func otherCases() []testCase {
	return slices.Concat(
		kind[numbers]{
			name: "numbers",
			random: func(r *rand.Rand) numbers {
				return numbers{large(r), large(r), map[string]any{"a": large(r), "f": r.Float64(), "u": ^uint64(0) - uint64(r.IntN(9))}}
			},
			kept: func(numbers) bool { return true },
			text: func(v numbers) string { return fmt.Sprintf("%v %v %v %v %v", v.N, v.X, v.M["a"], v.M["f"], v.M["u"]) },
		}.cases(),
		kind[left]{
			name:   "fields that are left out",
			random: func(r *rand.Rand) left { return left{fmt.Sprint(r.IntN(3)), fmt.Sprint(r.IntN(3)), make([]int, 0, 1)} },
			kept:   func(left) bool { return true },
			text:   func(v left) string { return fmt.Sprintf("%q %d", v.Kept, len(v.List)) },
		}.cases(),
		kind[own]{
			name: "types with methods",
			random: func(r *rand.Rand) own {
				return own{nick([]string{"A", "a", "B", "b"}[r.IntN(4)]), fussy([]string{"good", "fine", "bad"}[r.IntN(3)])}
			},
			kept:     func(v own) bool { return strings.ToUpper(string(v.Nick)) == string(v.Nick) },
			text:     func(v own) string { return fmt.Sprintf("%q %q", v.Nick, v.Fussy) },
			readable: func(v own) bool { return v.Fussy != "bad" },
		}.cases(),
	)
}

// cases are those of the kind: its values as events, rows and snapshots.
func (k kind[T]) cases() []testCase {
	if k.readable == nil {
		k.readable = func(T) bool { return true }
	}
	return []testCase{
		{"events: " + k.name, k.events},
		{"rows: " + k.name, k.rows},
		{"snapshots: " + k.name, k.snapshots},
	}
}

// repository returns a repository whose commands are values, which it appends as events, and
// whose state is all of them.
func (k kind[T]) repository(store eventstore.Store, opts *aggregate.Options) (*aggregate.Repository[[]T, T, T], error) {
	b := codec.NewBuilder()
	codec.Register[T](b, "value", 1)
	registry, err := b.Build()
	if err != nil {
		return nil, err
	}
	return aggregate.NewRepository(store, registry, aggregate.Decider[[]T, T, T]{
		Category: "values",
		Decide:   func(_ []T, v T) ([]T, error) { return []T{v}, nil },
		Evolve:   func(s []T, v T) []T { return append(s, v) },
	}, opts)
}

// events appends values. One that JSON keeps is in the log as it was, and another one is
// refused.
func (k kind[T]) events(ctx context.Context, random *rand.Rand, rounds int) error {
	store := memstore.New(nil)
	defer store.Close()
	values, err := k.repository(store, nil)
	if err != nil {
		return err
	}
	var want []string
	for range rounds {
		v := k.random(random)
		result, err := values.Execute(ctx, "1", v)
		if fine := k.kept(v) && k.readable(v); fine != (err == nil) {
			return fmt.Errorf("%#v: kept %t, and the error is %s", v, fine, said(err))
		} else if fine {
			want = append(want, k.text(v))
		}
		state, _, loadErr := values.Load(ctx, "1")
		if loadErr != nil {
			return fmt.Errorf("after %#v: %w", v, loadErr)
		}
		var got []string
		for _, v := range state {
			got = append(got, k.text(v))
		}
		if !slices.Equal(want, got) {
			return fmt.Errorf("after %#v: the log has %q, expected %q", v, got, want)
		}
		if err == nil && !reflect.DeepEqual(result.State, state) {
			return fmt.Errorf("after %#v: the result has the state %#v, and the log %#v", v, result.State, state)
		}
	}
	return nil
}

// snapshots loads a state from a snapshot. It is the one that its events fold into.
func (k kind[T]) snapshots(ctx context.Context, random *rand.Rand, rounds int) error {
	store := memstore.New(nil)
	defer store.Close()
	opts := &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}}
	values, err := k.repository(store, opts)
	if err != nil {
		return err
	}
	plain, err := k.repository(store, nil)
	if err != nil {
		return err
	}
	for i := range rounds / 3 {
		id := fmt.Sprint(i)
		for range 3 {
			if v := k.random(random); k.kept(v) && k.readable(v) {
				if _, err := values.Execute(ctx, id, v); err != nil {
					return err
				}
			}
		}
		_ = values.Snapshot(ctx, id) // refused for states that differ from their JSON
		folded, _, err := plain.Load(ctx, id)
		if err != nil {
			return err
		}
		loaded, _, err := values.Load(ctx, id)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(folded, loaded) {
			return fmt.Errorf("the events fold into %#v, and the snapshot is %#v", folded, loaded)
		}
	}
	return nil
}

// rows puts, changes and deletes rows. The indexes have what is in the rows, and no row that
// cannot be read is put.
func (k kind[T]) rows(ctx context.Context, random *rand.Rand, rounds int) error {
	store := memstore.New(nil)
	defer store.Close()
	registry, err := notesRegistry()
	if err != nil {
		return err
	}
	p := projection.New("rows", 1)
	table := projection.NewTable[int, T](p, "indexed")
	bare := projection.NewTable[int, T](p, "bare")
	index := projection.NewIndex(table, "all", func(v T) (string, bool) { return content(v), true })
	var values []T
	var wrong error
	projection.On(p, func(tx projection.Tx, e fold.Event[note]) error {
		v := values[e.Data.Value]
		put := bare.In(tx).Put(e.Data.Row, v)
		var err error
		switch e.Data.Value % 3 {
		case 0:
			err = table.In(tx).Delete(e.Data.Row)
		case 1:
			err = table.In(tx).Update(e.Data.Row, func(T) T { return v })
		default:
			err = table.In(tx).Put(e.Data.Row, v)
		}
		if (put == nil) != k.readable(v) || e.Data.Value%3 > 0 && (err == nil) != k.readable(v) {
			wrong = errors.Join(wrong, fmt.Errorf("%#v: readable %t, and the errors are %s and %s", v, k.readable(v), said(put), said(err)))
		}
		return nil
	})
	for i := range rounds {
		values = append(values, k.random(random))
		data, err := json.Marshal(note{Row: random.IntN(4), Value: i})
		if err != nil {
			return err
		}
		event := eventstore.NewEvent{Type: "note", SchemaVersion: 1, Codec: codec.JSON, Data: data}
		if _, err := store.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{event}}); err != nil {
			return err
		}
		view, err := projection.Build(ctx, store, registry, p, nil)
		if err = errors.Join(err, wrong); err != nil {
			return err
		}
		if err := k.compare(ctx, view, table, bare, index); err != nil {
			return err
		}
	}
	return nil
}

// compare compares an index with its rows, and reads all rows.
func (k kind[T]) compare(
	ctx context.Context, view *projection.View, table, bare *projection.Table[int, T], index *projection.Index[int, T, string],
) error {
	var rows, entries []string
	for row, err := range table.Scan(ctx, view, projection.Range[int]{}) {
		if err != nil {
			return err
		}
		rows = append(rows, fmt.Sprint(content(row.Value), row.Key))
		found, ok, err := index.Get(ctx, view, content(row.Value))
		if err != nil || !ok || content(found.Value) != content(row.Value) {
			return fmt.Errorf("row %d, %#v, is not found by its index: %s", row.Key, row.Value, said(err))
		}
	}
	for row, err := range index.Scan(ctx, view, projection.Range[string]{}) {
		if err != nil {
			return err
		}
		entries = append(entries, fmt.Sprint(content(row.Value), row.Key))
	}
	slices.Sort(rows)
	slices.Sort(entries)
	if !slices.Equal(rows, entries) {
		return fmt.Errorf("the rows are %q, and the index has %q", rows, entries)
	}
	for _, err := range bare.Scan(ctx, view, projection.Range[int]{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// content says all that is in a value, what is not stored included.
func content(v any) string { return fmt.Sprintf("%#v", dereferenced(reflect.ValueOf(v))) }

// dereferenced returns a value with what its pointers point to, as maps.
func dereferenced(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return dereferenced(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.Format(time.RFC3339Nano + "05")
		}
		fields := make(map[string]any)
		for i := range v.NumField() {
			fields[v.Type().Field(i).Name] = dereferenced(v.Field(i))
		}
		return fields
	}
	return v.Interface()
}
