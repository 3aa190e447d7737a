package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

func nameMutants() []mutant {
	return slices.Concat(writtenNameMutants(), readNameMutants())
}

// writtenNameMutants write names that are not allowed, or change or refuse names that
// are.
func writtenNameMutants() []mutant {
	return []mutant{
		{"names", "no name is refused", lenient},
		{"names", "a name at the limit is refused", strict},
		appending("names", "the library's own names are refused", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			for _, e := range c.Events {
				if strings.HasPrefix(e.Type, "yore.") || strings.HasPrefix(string(e.Stream), "yore.") {
					return eventstore.Receipt{}, eventstore.ErrInvalid
				}
			}
			return s.Append(ctx, c)
		}),
		appending("names", "a leading dash is dropped", renamed(func(name string) string { return strings.TrimPrefix(name, "-") })),
		appending("names", "NUL is replaced", renamed(func(name string) string { return strings.ReplaceAll(name, "\x00", "?") })),
		appending("names", "invalid UTF-8 is replaced", renamed(func(name string) string { return strings.ToValidUTF8(name, "?") })),
		appending("names", "long names are cut", renamed(func(name string) string { return name[:min(len(name), 255)] })),
	}
}

// readNameMutants take a name for another when they read.
func readNameMutants() []mutant {
	return []mutant{
		misreading("names", "names ignore case", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				for _, stream := range item.Streams {
					if strings.EqualFold(string(stream), string(e.Stream)) {
						return true
					}
				}
			}
			return q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("names", "combining characters are composed", func(q eventstore.Query, e eventstore.Event) bool {
			e.Stream = eventstore.StreamID(strings.ReplaceAll(string(e.Stream), "e\u0301", "\u00e9"))
			e.Type = strings.ReplaceAll(e.Type, "e\u0301", "\u00e9")
			return q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("names", "tags are run together", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				for _, tag := range item.Tags {
					var joined string
					for _, t := range e.Tags {
						joined += string(t)
					}
					if !strings.Contains(joined, string(tag)) {
						return false
					}
				}
			}
			return q.IsAll() || len(q.Items()[0].Tags) > 0 || q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("names", "a tag replaces another of the same kind", func(q eventstore.Query, e eventstore.Event) bool {
			kinds := make(map[string]eventstore.Tag)
			for _, tag := range e.Tags {
				kind, _, _ := strings.Cut(string(tag), ":")
				kinds[kind] = tag
			}
			e.Tags = slices.DeleteFunc(slices.Clone(e.Tags), func(tag eventstore.Tag) bool {
				kind, _, _ := strings.Cut(string(tag), ":")
				return kinds[kind] != tag
			})
			return q.Matches(e.Stream, e.Type, e.Tags)
		}),
	}
}

// renamed is an Append that changes every name of the commit.
func renamed(change func(string) string) func(eventstore.Store, context.Context, eventstore.Commit) (eventstore.Receipt, error) {
	return func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		c.Key = change(c.Key)
		c.Events, c.Expect = slices.Clone(c.Events), slices.Clone(c.Expect)
		for i, e := range c.Events {
			c.Events[i].Stream = eventstore.StreamID(change(string(e.Stream)))
		}
		for i, x := range c.Expect {
			c.Expect[i].Stream = eventstore.StreamID(change(string(x.Stream)))
		}
		return s.Append(ctx, c)
	}
}

// lenient accepts every name, and loses commits with an invalid one.
func lenient(f *faults) {
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := s.Append(ctx, c)
		if errors.Is(err, eventstore.ErrInvalid) || errors.Is(err, eventstore.ErrTooLarge) {
			err = nil
		}
		return receipt, err
	}
	f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		if eventstore.ValidateRead(q, opts) != nil {
			return func(func(eventstore.Event, error) bool) {}
		}
		return s.Read(ctx, q, opts)
	}
}

// strict refuses every name of 255 bytes.
func strict(f *faults) {
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		limits := eventstore.StandardLimits()
		limits.NameBytes--
		if err := limits.Validate(c); err != nil {
			return eventstore.Receipt{}, err
		}
		return s.Append(ctx, c)
	}
}
