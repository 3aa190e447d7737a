package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// links is a graph of the registrations and upcasters of a registry. Its edges lead from
// each stored pair to the pairs that its events become. Without faults it has no cycle.
type links struct {
	types     map[reflect.Type]pair
	entries   map[pair]*entry
	upcasters map[pair]*upcaster
	order     []pair // of the upcasters, in the order in which they were added
	targets   map[pair][]pair
	faults    []error
}

// link returns the graph and its faults. It includes registrations that have faults of
// their own, so that these are not reported as missing too.
func link(entries []*entry, upcasters []*upcaster) *links {
	l := &links{
		types: make(map[reflect.Type]pair), entries: make(map[pair]*entry),
		upcasters: make(map[pair]*upcaster), targets: make(map[pair][]pair),
	}
	for _, e := range entries {
		p := pair{e.Name, e.Version}
		if _, taken := l.types[e.Type]; !taken {
			l.types[e.Type] = p
		}
		l.entries[p] = e
	}
	for _, u := range upcasters {
		l.fault(u, append(nameFaults(u.name, u.version), u.faults...)...)
		if e := l.entries[u.pair]; e != nil {
			l.fault(u, fmt.Sprintf("this name and version are registered, for %v", e.Type))
		}
		if other := l.upcasters[u.pair]; other != nil {
			l.fault(u, fmt.Sprintf("there is another upcaster for it (%s)", other.kind))
			continue
		}
		l.upcasters[u.pair] = u
		l.order = append(l.order, u.pair)
	}
	for _, p := range l.order {
		l.resolve(l.upcasters[p])
	}
	l.findCycles()
	return l
}

func (l *links) fault(u *upcaster, faults ...string) {
	for _, fault := range faults {
		l.faults = append(l.faults, fmt.Errorf("%v: %s", u, fault))
	}
}

// resolve finds the targets of an upcaster.
func (l *links) resolve(u *upcaster) {
	if u.to != nil {
		if l.entries[*u.to] == nil && l.upcasters[*u.to] == nil {
			l.fault(u, fmt.Sprintf("its target %v is neither registered nor the input of an upcaster", *u.to))
			return
		}
		l.targets[u.pair] = []pair{*u.to}
	}
	for _, t := range u.makes {
		target, fault := l.made(u, t)
		if fault != "" {
			l.fault(u, fault)
			continue
		}
		l.targets[u.pair] = append(l.targets[u.pair], target)
	}
}

// made returns the pair for a Go type that an upcaster makes, or a fault if there is none.
func (l *links) made(u *upcaster, t reflect.Type) (pair, string) {
	if p, ok := l.types[t]; ok {
		return p, ""
	}
	var takers []pair
	var names []string
	for _, p := range l.order {
		if l.upcasters[p].takes == t && p != u.pair {
			takers, names = append(takers, p), append(names, p.String())
		}
	}
	switch {
	case len(takers) == 1:
		return takers[0], ""
	case len(takers) > 1:
		return pair{}, fmt.Sprintf("it makes a %v, which is not registered, and several upcasters take one: %s", t, strings.Join(names, ", "))
	case t.Kind() == reflect.Interface:
		return pair{}, fmt.Sprintf("it makes a %v, an interface; make one of the types that implement it, or split", t)
	default:
		return pair{}, fmt.Sprintf("it makes a %v, which is neither registered nor taken by another upcaster", t)
	}
}

// findCycles reports each cycle once.
func (l *links) findCycles() {
	done := make(map[pair]bool)
	var path []pair
	var visit func(p pair)
	visit = func(p pair) {
		if i := slices.Index(path, p); i >= 0 {
			var names []string
			for _, on := range append(path[i:len(path):len(path)], p) {
				names = append(names, on.String())
			}
			l.fault(l.upcasters[p], "a cycle: "+strings.Join(names, " → "))
			return
		}
		if done[p] {
			return
		}
		done[p] = true
		path = append(path, p)
		for _, target := range l.targets[p] {
			visit(target)
		}
		path = path[:len(path)-1]
	}
	for _, p := range l.order {
		visit(p)
	}
}

// names returns for each registered name the names whose events upcasters convert to it
// (stored), and those of its names, itself included, that no upcaster makes (first).
func (l *links) names() (stored, first map[string][]string) {
	stored, first = make(map[string][]string), make(map[string][]string)
	led := make(map[pair]bool)
	for _, targets := range l.targets {
		for _, target := range targets {
			led[target] = true
		}
	}
	for _, p := range l.order {
		for _, name := range l.becomes(p) {
			stored[name] = appendOnce(stored[name], p.name)
			if !led[p] {
				first[name] = appendOnce(first[name], p.name)
			}
		}
	}
	for p := range l.entries {
		if !led[p] {
			first[p.name] = appendOnce(first[p.name], p.name)
		}
	}
	return stored, first
}

// becomes returns the registered names that the events of a pair become.
func (l *links) becomes(p pair) []string {
	if l.entries[p] != nil {
		return []string{p.name}
	}
	var names []string
	for _, target := range l.targets[p] {
		for _, name := range l.becomes(target) {
			names = appendOnce(names, name)
		}
	}
	return names
}

func appendOnce(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// reader appends to a slice the values that an event stored under a pair is today: from
// its data, or from a value of the Go type that the previous upcaster made.
type reader struct {
	data  func(data []byte, to []any) ([]any, error)
	value func(value any, to []any) ([]any, error)
}

// readers composes a reader for each pair.
func (l *links) readers() map[pair]*reader {
	readers := make(map[pair]*reader, len(l.entries)+len(l.upcasters))
	for p, e := range l.entries {
		readers[p] = e.reader()
	}
	for p := range l.upcasters {
		readers[p] = &reader{}
	}
	for p, u := range l.upcasters {
		var targets []*reader
		for _, target := range l.targets[p] {
			targets = append(targets, readers[target])
		}
		*readers[p] = u.reader(targets)
	}
	return readers
}

func (e *entry) reader() *reader {
	return &reader{
		data: func(data []byte, to []any) ([]any, error) {
			value, err := guarded(data, e.decode)
			if err != nil {
				return nil, fmt.Errorf("decode %v: %w", e.Registration, err)
			}
			return append(to, value), nil
		},
		value: func(value any, to []any) ([]any, error) { return append(to, value), nil },
	}
}

// reader returns the reader of the pair that the upcaster takes. The targets are in the
// order of makes, or the one target of to.
func (u *upcaster) reader(targets []*reader) reader {
	switch {
	case u.values != nil:
		return u.typed(targets)
	case u.data != nil:
		return reader{data: func(data []byte, to []any) ([]any, error) {
			changed, err := guarded(bytes.Clone(data), u.data)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", u, err)
			}
			return targets[0].data(changed, to)
		}}
	case u.to != nil:
		return reader{data: func(data []byte, to []any) ([]any, error) { return targets[0].data(data, to) }}
	default:
		return reader{data: func(_ []byte, to []any) ([]any, error) { return to, nil }}
	}
}

func (u *upcaster) typed(targets []*reader) reader {
	value := func(old any, to []any) ([]any, error) {
		made, err := guarded(old, u.values)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", u, err)
		}
		for _, value := range made {
			i := slices.Index(u.makes, reflect.TypeOf(value))
			if i < 0 {
				return nil, fmt.Errorf("%v: it made a %T, which is not among the types that it names", u, value)
			}
			if to, err = targets[i].value(value, to); err != nil {
				return nil, err
			}
		}
		return to, nil
	}
	return reader{value: value, data: func(data []byte, to []any) ([]any, error) {
		old, err := guarded(data, u.decode)
		if err != nil {
			return nil, fmt.Errorf("%v: decode into %v: %w", u, u.takes, err)
		}
		return value(old, to)
	}}
}

// guarded calls the application's code and returns a panic as an error.
func guarded[In, Out any](in In, call func(In) (Out, error)) (out Out, err error) {
	defer func() {
		if p := recover(); p != nil {
			var none Out
			out, err = none, panicked(p)
		}
	}()
	if out, err = call(in); err != nil {
		var none Out
		return none, err
	}
	return out, nil
}
