package aggtest_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/fold"
)

// The tests' decisions are about the books of a library: one may be held back for
// a week after it came back.

var errHeld = errors.New("the book is held back")

func holdOf(book string) aggregate.Model[time.Time] {
	return aggregate.NewModel(aggregate.Tagged("book:"+book),
		fold.OnEvent(func(_ time.Time, e fold.Event[returned]) time.Time { return e.Time }))
}

func timesLent(book string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("book:"+book), fold.On(func(n int, _ lent) int { return n + 1 }))
}

func lendOn(book, to string, now time.Time) aggregate.Decision {
	var back time.Time
	var n int
	return aggregate.Decision{
		Models: aggregate.Models{holdOf(book).Into(&back), timesLent(book).Into(&n)},
		Decide: func() ([]any, error) {
			switch {
			case !back.IsZero() && now.Sub(back) < 7*24*time.Hour:
				return nil, errHeld
			case to == "":
				return nil, nil
			case to == "the shelf":
				return aggregate.In("shelf-1", returned{Book: book}), nil
			}
			return []any{lent{Book: book, To: to, At: now}}, nil
		},
	}
}

func taggedRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[lent](b, "loans.lent", 1, codec.Tags(func(e lent) []string { return []string{"book:" + e.Book} }))
	codec.Register[returned](b, "loans.returned", 1,
		codec.Tags(func(e returned) []string { return []string{"book:" + e.Book} }))
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

var bolt = map[string]aggtest.Open{
	"boltstore": func(tb testing.TB, clock func() time.Time) eventstore.Store {
		store, err := boltstore.Open(filepath.Join(tb.TempDir(), "log.yore"), &boltstore.Options{Clock: clock})
		require.NoError(tb, err)
		return store
	},
}

func TestLog_Passes(t *testing.T) {
	ran := 0
	aggtest.EachStore(t, bolt, func(t *testing.T, open aggtest.Open) {
		ran++
		log := aggtest.NewLog(t, taggedRegistry(t)).On(open).At(day).Unread(returned{})
		log.When(lendOn("a", "ann", day)).Then(lent{Book: "a", To: "ann", At: day})
		log.When(lendOn("a", "", day)).ThenNothing()
		log.When(lendOn("a", "the shelf", day)).Then(aggregate.In("shelf-1", returned{Book: "a"})...)

		back := log.Given(returned{Book: "a"})
		require.Equal(t, day, back.Now())
		back.When(lendOn("a", "ann", day)).ThenRejected(errHeld)
		back.When(lendOn("b", "ann", day)).Then(lent{Book: "b", To: "ann", At: day})
		later := back.Later(7 * 24 * time.Hour)
		v := later.When(lendOn("a", "ann", later.Now())).Then(lent{Book: "a", To: "ann", At: later.Now()})
		v.After().Given(aggregate.In("shelf-2", returned{Book: "a"})...).When(lendOn("a", "bob", later.Now())).ThenRejected(errHeld)

		v.After().Given(aggregate.In("shelf-2", returned{Book: "a"}), lent{Book: "b"}).When(lendOn("a", "bob", later.Now())).ThenRejected(errHeld)
		twice := aggregate.Decision{
			Models: aggregate.Models{timesLent("a").Into(new(int))},
			Decide: func() ([]any, error) {
				return []any{aggregate.In("shelf-1", returned{Book: "a"}), aggregate.In("shelf-2", returned{Book: "b"})}, nil
			},
		}
		log.When(twice).Then(aggregate.In("shelf-1", returned{Book: "a"}), aggregate.In("shelf-2", returned{Book: "b"})).
			After().When(lendOn("a", "bob", day)).ThenRejected(errHeld)

		aggtest.CheckModel(v.After(), timesLent("a"), 1)
		aggtest.CheckModel(v.After(), holdOf("a"), day)
		aggtest.CheckModel(log, timesLent("a"), 0)

		var as *outError
		log.When(lendOn("a", "ann", day).Provided(func() error { return &outError{To: "bob"} })).ThenRejectedAs(&as)
		require.Equal(t, "bob", as.To)
	})
	require.Equal(t, 2, ran)
}

// logFailure returns the failures of a test that calls a function with a log.
func logFailure(t *testing.T, test func(log *aggtest.Log)) string {
	t.Helper()
	return reported(t, func(tb testing.TB) { test(aggtest.NewLog(tb, taggedRegistry(t)).At(day)) })
}

func TestVerdict_Then_ShowsADiff(t *testing.T) {
	report := logFailure(t, func(log *aggtest.Log) {
		log.When(lendOn("Emma", "the shelf", day)).Then(returned{Book: "Emma"})
	})
	require.Equal(t, `when the decision is made: events:
  aggtest_test.returned {
    "book": "Emma"
- }
+ } in stream "shelf-1"

`, report)
	report = logFailure(t, func(log *aggtest.Log) { log.When(lendOn("Emma", "Ann", day)).ThenNothing() })
	require.Contains(t, report, "+ aggtest_test.lent {\n+   \"book\": \"Emma\",")
}

func TestVerdict_Refusals(t *testing.T) {
	report := logFailure(t, func(log *aggtest.Log) {
		log.Given(returned{Book: "a"}).When(lendOn("a", "ann", day)).Then(lent{Book: "a"})
	})
	require.Equal(t, "when the decision is made: want 1 event, got a refusal: the book is held back\n", report)
	report = logFailure(t, func(log *aggtest.Log) { log.When(lendOn("a", "ann", day)).ThenRejected(errHeld) })
	require.Contains(t, report, `want refusal "the book is held back", got 1 event:`)
	var as *outError
	report = logFailure(t, func(log *aggtest.Log) {
		log.Given(returned{Book: "a"}).When(lendOn("a", "ann", day)).ThenRejectedAs(&as)
	})
	require.Contains(t, report, "want refusal of type *aggtest_test.outError, got *errors.errorString: the book is held back")
}

func TestCheckModel_ShowsADiff(t *testing.T) {
	report := logFailure(t, func(log *aggtest.Log) { aggtest.CheckModel(log.Given(lent{Book: "a"}), timesLent("a"), 2) })
	require.Equal(t, "state of the model:\n- (int): 2\n+ (int): 1\n\n", report)
	report = logFailure(t, func(log *aggtest.Log) { aggtest.CheckModel(log, aggregate.Model[int]{}, 2) })
	require.Contains(t, report, "fatal: load models: invalid: model 0 (of int): it has no handlers")
}

func TestLog_When_DecisionThatCannotBe(t *testing.T) {
	report := logFailure(t, func(log *aggtest.Log) { log.When(aggregate.Decision{}) })
	require.Contains(t, report, "fatal: execute decision: invalid: there are no models")
	report = logFailure(t, func(log *aggtest.Log) {
		log.When(lendOn("a", "ann", day).Provided(func() error { return nil }, aggregate.Model[int]{}.Into(new(int))))
	})
	require.Contains(t, report, "fatal: execute decision: invalid: model 2 (of int)")
}

func TestLog_When_DecideChangesItsMind(t *testing.T) {
	var n int
	moody := aggregate.Decision{
		Models: aggregate.Models{timesLent("a").Into(&n)},
		Decide: func() ([]any, error) {
			n++
			return []any{lent{Book: "a", To: string(rune('a' + n))}}, nil
		},
	}
	report := logFailure(t, func(log *aggtest.Log) { log.When(moody) })
	require.Contains(t, report, "Decide says something else when asked again (errors <nil>, <nil>):")
	require.Contains(t, report, `-   "to": "b",`)
	require.Contains(t, report, `+   "to": "c",`)
}

func TestLog_EventsThatCannotBe(t *testing.T) {
	report := logFailure(t, func(log *aggtest.Log) { log.Given(returned{Book: "a", Note: "torn"}) })
	require.Contains(t, report, "given event 0: aggtest_test.returned changes when it is stored and read:")
	report = logFailure(t, func(log *aggtest.Log) { log.Given(aggregate.In("s-1", unregistered{})...) })
	require.Contains(t, report, "fatal: given event 0: Go type aggtest_test.unregistered is not registered")
	report = logFailure(t, func(log *aggtest.Log) { aggtest.CheckModel(log.Given(aggregate.In("-", lent{})...), timesLent("a"), 0) })
	require.Contains(t, report, "fatal: given events: ")
	report = logFailure(t, func(log *aggtest.Log) { log.Given(lent{Book: "a"}).At(day.Add(-1)) })
	require.Contains(t, report, "fatal: aggtest: At(2025-12-31 23:59:59.999999999 +0000 UTC) is before 2026-01-01")
	report = reported(t, func(tb testing.TB) { aggtest.NewLog(tb, nil) })
	require.Contains(t, report, "fatal: aggtest: the registry is nil")
}

// TestLog_When_EventThatNoModelFinds decides an event whose tags were forgotten.
func TestLog_When_EventThatNoModelFinds(t *testing.T) {
	forgotten := aggregate.Decision{
		Models: aggregate.Models{timesLent("a").Into(new(int))},
		Decide: func() ([]any, error) { return []any{lent{Book: "b"}, lent{Book: "a"}, returned{Book: "a"}}, nil },
	}
	report := reported(t, func(tb testing.TB) { aggtest.NewLog(tb, taggedRegistry(t)).Unread(returned{}).When(forgotten) })
	require.Equal(t, "decided event 0: no model of the decision selects the aggtest_test.lent (type \"loans.lent\", tags [\"book:b\"]): "+
		"asked again, the decision would not know of it. Tag it, or say Unread if that is meant\n", report)
	aggtest.NewLog(t, taggedRegistry(t)).Unread(returned{}).Unread(lent{}).When(forgotten)
}

func TestLog_BranchesShareNothing(t *testing.T) {
	log := aggtest.NewLog(t, taggedRegistry(t)).Given(lent{Book: "a"})
	one, two := log.Given(lent{Book: "a"}), log.Given(returned{Book: "a"})
	aggtest.CheckModel(one, timesLent("a"), 2)
	aggtest.CheckModel(two, timesLent("a"), 1)
	aggtest.CheckModel(log, holdOf("a"), time.Time{})
}
