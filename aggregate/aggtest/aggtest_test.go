package aggtest_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
)

type (
	event interface{ loanEvent() }
	lent  struct {
		Book string    `json:"book"`
		To   string    `json:"to"`
		At   time.Time `json:"at"`
		Tags []string  `json:"tags,omitempty"`
	}
	returned struct {
		Book string `json:"book"`
		Note string `json:"-"` // lost on its way to the disk
	}
	unregistered struct{}

	command interface{ loanCommand() }
	lend    struct {
		Book, To string
		At       time.Time
	}
	giveBack struct{ Book, Note string }
	tamper   struct{}
	stray    struct{}

	// loans has what makes comparing hard: unexported fields, times, maps,
	// pointers, an interface.
	loans struct {
		out   map[string]*loan
		count int
		last  any
	}
	loan struct {
		to    string
		since time.Time
	}
)

func (lent) loanEvent()         {}
func (returned) loanEvent()     {}
func (unregistered) loanEvent() {}
func (lend) loanCommand()       {}
func (giveBack) loanCommand()   {}
func (tamper) loanCommand()     {}
func (stray) loanCommand()      {}

var errNotOut = errors.New("the book is not out")

type outError struct{ To string }

func (e *outError) Error() string { return "the book is out, with " + e.To }

var decider = aggregate.Decider[loans, command, event]{
	Category: "loans",
	Initial:  func() loans { return loans{out: map[string]*loan{}} },
	Decide: func(s loans, c command) ([]event, error) {
		switch c := c.(type) {
		case lend:
			if l := s.out[c.Book]; l != nil && l.to != c.To {
				return nil, fmt.Errorf("lend %q: %w", c.Book, &outError{To: l.to})
			} else if l != nil {
				return nil, nil
			}
			return []event{lent{Book: c.Book, To: c.To, At: c.At, Tags: []string{}}}, nil
		case giveBack:
			if s.out[c.Book] == nil {
				return nil, fmt.Errorf("give back %q: %w", c.Book, errNotOut)
			}
			return []event{returned(c)}, nil
		case tamper:
			s.out["x"] = &loan{to: "nobody"}
			return nil, nil
		default:
			return []event{unregistered{}}, nil
		}
	},
	Evolve: func(s loans, e event) loans {
		s.count++
		s.last = e
		switch e := e.(type) {
		case lent:
			s.out[e.Book] = &loan{to: e.To, since: e.At}
		case returned:
			delete(s.out, e.Book)
		}
		return s
	},
}

func newRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[lent](b, "loans.lent", 1)
	codec.Register[returned](b, "loans.returned", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

type scenario = aggtest.Scenario[loans, command, event]

// recorder records the failures of a test.
type recorder struct {
	testing.TB
	report strings.Builder
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	fmt.Fprintf(&r.report, format+"\n", args...)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf("fatal: "+format, args...)
	runtime.Goexit()
}

// failure returns the failures of a test that calls a function.
func failure(t *testing.T, test func(s *scenario)) string {
	t.Helper()
	return reported(t, func(tb testing.TB) { test(aggtest.New(tb, newRegistry(t), decider)) })
}

// reported returns the failures of a test.
func reported(t *testing.T, test func(tb testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	require.NotEmpty(t, r.report.String(), "the test must fail")
	return r.report.String()
}

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestScenario_Passes(t *testing.T) {
	s := aggtest.New(t, newRegistry(t), decider)
	out := s.Given(lent{Book: "Emma", To: "Ann", At: day})

	s.When(lend{Book: "Emma", To: "Ann", At: day}).
		Then(lent{Book: "Emma", To: "Ann", At: day}).
		ThenState(loans{
			out:   map[string]*loan{"Emma": {to: "Ann", since: day}},
			count: 1,
			last:  lent{Book: "Emma", To: "Ann", At: day},
		})
	out.When(lend{Book: "Emma", To: "Ann"}).ThenNothing()
	out.When(giveBack{Book: "Emma"}).Then(returned{Book: "Emma"})
	s.When(giveBack{Book: "Emma"}).ThenRejected(errNotOut).ThenState(loans{})

	var is *outError
	out.When(lend{Book: "Emma", To: "Bob"}).ThenRejectedAs(&is)
	require.Equal(t, "Ann", is.To)
}

func TestScenario_Given_BranchesShareNothing(t *testing.T) {
	s := aggtest.New(t, newRegistry(t), decider).Given(lent{Book: "a", To: "Ann"})
	s.Given(returned{Book: "a"}).When(giveBack{Book: "a"}).ThenRejected(errNotOut)
	s.Given(lent{Book: "b", To: "Bob"}).When(giveBack{Book: "b"}).Then(returned{Book: "b"})
	s.When(giveBack{Book: "b"}).ThenRejected(errNotOut)
	s.When(giveBack{Book: "a"}).Then(returned{Book: "a"})
}

func TestScenario_ComparesTimesByInstant(t *testing.T) {
	now := time.Now() // with a monotonic reading and a location, which JSON has no room for
	aggtest.New(t, newRegistry(t), decider).
		When(lend{Book: "a", To: "Ann", At: now}).
		Then(lent{Book: "a", To: "Ann", At: now.UTC()})
}

func TestOutcome_Then_ShowsADiff(t *testing.T) {
	report := failure(t, func(s *scenario) {
		s.When(lend{Book: "Emma", To: "Ann", At: day}).Then(lent{Book: "Emma", To: "Bob", At: day})
	})
	require.Equal(t, `when aggtest_test.lend: events:
  aggtest_test.lent {
    "book": "Emma",
-   "to": "Bob",
+   "to": "Ann",
    "at": "2026-01-01T00:00:00Z"
  }

`, report)
}

func TestOutcome_Then_MissingAndUnwanted(t *testing.T) {
	report := failure(t, func(s *scenario) { s.When(lend{Book: "a", To: "Ann"}).ThenNothing() })
	require.Contains(t, report, "+ aggtest_test.lent {\n+   \"book\": \"a\",")
	require.NotContains(t, report, "\n- ")

	report = failure(t, func(s *scenario) {
		s.Given(lent{Book: "a", To: "Ann"}).When(lend{Book: "a", To: "Ann"}).Then(returned{Book: "a"})
	})
	require.Contains(t, report, "- aggtest_test.returned {\n-   \"book\": \"a\"\n- }")
}

func TestOutcome_Then_DifferenceThatJSONDoesNotShow(t *testing.T) {
	report := failure(t, func(s *scenario) {
		s.Given(lent{Book: "a", To: "Ann"}).When(giveBack{Book: "a"}).Then(returned{Book: "a", Note: "torn"})
	})
	require.Contains(t, report, `.Note: "torn"`)
}

func TestOutcome_Then_Refused(t *testing.T) {
	report := failure(t, func(s *scenario) { s.When(giveBack{Book: "a"}).Then(returned{Book: "a"}) })
	require.Equal(t, "when aggtest_test.giveBack: want 1 event, got a refusal: give back \"a\": the book is not out\n", report)
	report = failure(t, func(s *scenario) { s.When(giveBack{Book: "a"}).ThenNothing() })
	require.Contains(t, report, "want no event, got a refusal")
}

func TestOutcome_ThenRejected_Fails(t *testing.T) {
	report := failure(t, func(s *scenario) { s.When(giveBack{Book: "a"}).ThenRejected(errors.ErrUnsupported) })
	require.Equal(t, "when aggtest_test.giveBack: want refusal \"unsupported operation\", got \"give back \\\"a\\\": the book is not out\"\n", report)

	report = failure(t, func(s *scenario) { s.When(lend{Book: "a", To: "Ann"}).ThenRejected(errNotOut) })
	require.Contains(t, report, `want refusal "the book is not out", got 1 event:`)
	require.Contains(t, report, `+   "to": "Ann",`)

	var is *outError
	report = failure(t, func(s *scenario) { s.When(giveBack{Book: "a"}).ThenRejectedAs(&is) })
	require.Contains(t, report, `want refusal of type *aggtest_test.outError, got *fmt.wrapError: give back "a"`)
	report = failure(t, func(s *scenario) {
		s.Given(lent{Book: "a", To: "Ann"}).When(lend{Book: "a", To: "Ann"}).ThenRejectedAs(&is)
	})
	require.Contains(t, report, `want refusal of type *aggtest_test.outError, got no event`)

	report = failure(t, func(s *scenario) { s.When(lend{Book: "a", To: "Ann"}).ThenRejected(nil) })
	require.Contains(t, report, "fatal: ThenRejected: the target is nil")
}

func TestOutcome_ThenState_ShowsADiff(t *testing.T) {
	report := failure(t, func(s *scenario) {
		s.When(lend{Book: "Emma", To: "Ann", At: day}).ThenState(loans{
			out:   map[string]*loan{"Emma": {to: "Bob", since: day}},
			count: 2,
			last:  lent{Book: "Emma", To: "Ann", At: day},
		})
	})
	require.Contains(t, report, "when aggtest_test.lend: state:\n"+
		`- (aggtest_test.loans).out["Emma"].to: "Bob"`+"\n"+
		`+ (aggtest_test.loans).out["Emma"].to: "Ann"`+"\n"+
		`  (aggtest_test.loans).out["Emma"].since: 2026-01-01T00:00:00Z`+"\n"+
		`- (aggtest_test.loans).count: 2`+"\n"+
		`+ (aggtest_test.loans).count: 1`+"\n")
}

func TestScenario_LossyEvents(t *testing.T) {
	given := failure(t, func(s *scenario) { s.Given(returned{Book: "a", Note: "torn"}) })
	require.Equal(t, `given event 0: aggtest_test.returned changes when it is stored and read:
  (aggtest_test.returned).Book: "a"
- (aggtest_test.returned).Note: "torn"
+ (aggtest_test.returned).Note: ""

`, given)
	decided := failure(t, func(s *scenario) {
		s.Given(lent{Book: "a", To: "Ann"}).When(giveBack{Book: "a", Note: "torn"})
	})
	require.Contains(t, decided, "decided event 0: aggtest_test.returned changes")
	text := failure(t, func(s *scenario) { s.Given(lent{Book: "caf\xe9"}) })
	require.Contains(t, text, `given event 0: encode aggtest_test.lent as "loans.lent" version 1: its Book is "caf\xe9" and would be read back as`)
}

func TestScenario_UnregisteredEvents(t *testing.T) {
	report := failure(t, func(s *scenario) { s.Given(unregistered{}) })
	require.Equal(t, "fatal: given event 0: Go type aggtest_test.unregistered is not registered (codec.Register)\n", report)
	report = failure(t, func(s *scenario) { s.When(stray{}) })
	require.Contains(t, report, "fatal: decided event 0: ")
}

func TestScenario_When_DecideChangedTheState(t *testing.T) {
	report := failure(t, func(s *scenario) { s.When(tamper{}) })
	require.Contains(t, report, "when aggtest_test.tamper: Decide changed the state:")
	require.Contains(t, report, `+ (aggtest_test.loans).out["x"].to: "nobody"`)
}

// TestScenario_When_EvolvePanics decides an event that Evolve cannot take.
func TestScenario_When_EvolvePanics(t *testing.T) {
	nilMap := decider
	nilMap.Initial = nil
	report := reported(t, func(tb testing.TB) { aggtest.New(tb, newRegistry(t), nilMap).When(lend{Book: "a"}) })
	require.Equal(t, "fatal: when aggtest_test.lend: Evolve panics on what was decided: assignment to entry in nil map\n", report)
}

func TestNew_FaultyDecider(t *testing.T) {
	report := reported(t, func(tb testing.TB) { aggtest.New(tb, nil, aggregate.Decider[loans, command, event]{}) })
	require.Contains(t, report, "Decide is nil")
}
