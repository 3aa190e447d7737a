package readback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
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
	// degrees is written and read by methods with pointer receivers.
	degrees float64
	// level is only written, and parsed only read, by a method.
	level  int
	parsed int
	// wrapped keeps what it has in a field that only its two methods see.
	wrapped struct{ text string }

	base  struct{ ID string }
	other struct{ ID string }

	twice struct {
		base
		other
	}
	shadowed struct {
		base
		ID string
	}
	stamped struct {
		time.Time
		Note string
	}
	wrapping struct {
		wrapped
		Note string
	}
	private struct {
		Name string
		n    int
	}
)

func (d *degrees) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%g C", float64(*d)), nil }
func (d *degrees) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%g C", (*float64)(d))
	return err
}

func (l level) MarshalText() ([]byte, error) { return []byte([]string{"low", "high"}[l]), nil }
func (p *parsed) UnmarshalText([]byte) error { *p = 1; return nil }

func (w wrapped) MarshalJSON() ([]byte, error)     { return json.Marshal(w.text) }
func (w *wrapped) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &w.text) }

// typeCases are types that cannot be read back, and types that can.
func typeCases() []testCase {
	_ = private{n: 1}.n
	return []testCase{
		refused[map[string]degrees]("pointer methods in a map"),
		refused[struct{ M map[string][2]degrees }]("pointer methods in an array in a map"),
		refused[map[string]big.Int]("a foreign type with pointer methods in a map"),
		refused[struct{ L []level }]("a type that is only written"),
		refused[struct{ P []parsed }]("a type that is only read"),
		refused[map[level]string]("keys that are only written"),
		refused[twice]("two embedded fields with one name"),
		refused[shadowed]("a field that hides an embedded one"),
		refused[stamped]("an embedded type that swallows its sibling"),
		refused[struct{ W []wrapping }]("an embedded type that swallows its sibling, within"),
		refused[private]("an unexported field"),
		refused[struct{ P []*private }]("an unexported field, within"),
		refused[struct{ E error }]("an interface"),
		refused[struct{ F func() }]("a function"),
		accepted[map[string]*degrees]("pointers to a type with pointer methods"),
		accepted[struct {
			D degrees
			L []degrees
			W map[string]wrapped
			B *big.Int
			A netip.Addr
			T map[time.Time]time.Duration
			R json.RawMessage
			N json.Number
			X any
		}]("types with both methods"),
		accepted[struct{ time.Time }]("an embedded type alone"),
	}
}

// declare declares a type in all places: the errors say where it was refused.
func declare[T any]() (event, row, snapshot error) {
	b := codec.NewBuilder()
	codec.Register[T](b, "value", 1)
	_, event = b.Build()

	store := memstore.New(nil)
	defer store.Close()
	notes, err := notesRegistry()
	if err != nil {
		return err, err, err
	}
	p := projection.New("rows", 1)
	projection.NewTable[string, T](p, "rows")
	projection.On(p, func(projection.Tx, fold.Event[note]) error { return nil })
	_, row = projection.Build(context.Background(), store, notes, p, nil)
	_, snapshot = aggregate.NewRepository(store, notes, aggregate.Decider[T, note, note]{
		Category: "states",
		Decide:   func(T, note) ([]note, error) { return nil, nil },
		Evolve:   func(s T, _ note) T { return s },
	}, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}})
	return event, row, snapshot
}

// note is an event that all can read. It says which value a handler is to take.
type note struct {
	Row   int
	Value int
}

func notesRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[note](b, "note", 1)
	return b.Build()
}

func refused[T any](name string) testCase {
	return testCase{"refused type: " + name, func(context.Context, *rand.Rand, int) error {
		var errs []error
		event, row, snapshot := declare[T]()
		for where, err := range map[string]error{"an event": event, "a row": row, "a snapshot": snapshot} {
			switch {
			case err == nil:
				errs = append(errs, fmt.Errorf("it is accepted as %s", where))
			case where != "an event" && !errors.Is(err, eventstore.ErrInvalid):
				errs = append(errs, fmt.Errorf("as %s: another error: %w", where, err))
			case strings.Contains(err.Error(), "panic"):
				errs = append(errs, fmt.Errorf("as %s: %w", where, err))
			}
		}
		return errors.Join(errs...)
	}}
}

func accepted[T any](name string) testCase {
	return testCase{"accepted type: " + name, func(context.Context, *rand.Rand, int) error {
		return errors.Join(declare[T]())
	}}
}
