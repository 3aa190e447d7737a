package index_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

func checkedLog() []index.Entry {
	return []index.Entry{
		{Position: 1, Stream: "a-1", Version: 1, Type: "t", Tags: []eventstore.Tag{"x", "y"}, Key: "k"},
		{Position: 2, Stream: "a-1", Version: 2, Type: "u"},
		{Position: 3, Type: "t", Tags: []eventstore.Tag{"x"}, Key: "kk"},
		{Position: 4, Stream: "a-2", Version: 1, Type: "t"},
		{Position: 5, Unknown: true},
		{Position: 6, Stream: "a-1", Version: 3, Type: "t", Tags: []eventstore.Tag{"x"}},
	}
}

// TestChecker_FindsWhatDiffers indexes other events than those it checks with. The
// run of the changed event must differ and the other run must not. Reader.Check must
// name the missing posting, and Stray the surplus one.
func TestChecker_FindsWhatDiffers(t *testing.T) {
	tests := map[string]struct {
		change  func(*index.Entry) // of the event at 3, for the index
		missing []string
		stray   []string
	}{
		"a tag is missing":      {func(e *index.Entry) { e.Tags = nil }, []string{`the index lacks tag "x" at position 3`}, nil},
		"a key is missing":      {func(e *index.Entry) { e.Key = "" }, []string{`the index lacks key "kk" at position 3`}, nil},
		"a tag is too many":     {func(e *index.Entry) { e.Tags = []eventstore.Tag{"x", "y"} }, nil, []string{`the index has tag "y" at position 3, which it must not have`}},
		"a type is wrong":       {func(e *index.Entry) { e.Type = "v" }, []string{`the index lacks type "t" at position 3`}, []string{`the index has type "v" at position 3, which it must not have`}},
		"a tag that is a type":  {func(e *index.Entry) { e.Tags, e.Type = []eventstore.Tag{"t"}, "x" }, []string{`the index lacks type "t" at position 3`, `the index lacks tag "x" at position 3`}, []string{`the index has tag "t" at position 3, which it must not have`, `the index has type "x" at position 3, which it must not have`}},
		"a key that is another": {func(e *index.Entry) { e.Key = "kl" }, []string{`the index lacks key "kk" at position 3`}, []string{`the index has key "kl" at position 3, which it must not have`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			indexed, log := checkedLog(), checkedLog()
			test.change(&indexed[2])
			f, x := written(t, indexed[:4], indexed[4:])
			c, problems := checkWhole(t, f, x, log)
			require.Equal(t, [][2]eventstore.Position{{1, 4}}, c.Differing())
			require.True(t, c.Differs(3))
			require.False(t, c.Differs(5))
			require.Empty(t, problems)
			require.Equal(t, test.missing, missing(t, f, x, log))
			require.Equal(t, test.stray, stray(t, f, c, log))
		})
	}
}

func TestChecker_FindsVersionsThatAreWrong(t *testing.T) {
	indexed, log := checkedLog(), checkedLog()
	indexed[5].Version = 4
	f, x := written(t, indexed)
	c, problems := checkWhole(t, f, x, log)
	require.Equal(t, [][2]eventstore.Position{{1, 6}}, c.Differing())
	require.Equal(t, []index.Problem{{Kind: index.BrokenStream, Position: 6, Text: `version 4 of stream "a-1", where version 3 comes next`}}, problems)
	require.Equal(t, []string{`the index has something else for stream "a-1" at position 6`}, missing(t, f, x, log))
	require.Equal(t, []string{`the index has stream "a-1" at position 6, which it must not have`}, stray(t, f, c, log))
}

// TestChecker_FindsPostingsOutsideTheirRun writes a run whose postings are of
// positions in the wrong order. The Checker must report the run as damaged.
func TestChecker_FindsPostingsOutsideTheirRun(t *testing.T) {
	log := checkedLog()
	f, x := written(t, []index.Entry{{Position: 9, Type: "w"}, log[0], log[1], log[2], log[3]}, log[4:])
	_, problems := checkWhole(t, f, x, log)
	require.Len(t, problems, 1)
	require.Equal(t, index.WrongEntry, problems[0].Kind)
	f.read(t, x.Snapshot(), 6, func(r *index.Reader) {
		walkAll(r, eventstore.Match(eventstore.Item{Types: []string{"w"}}), 1, 6, false)
		require.ErrorIs(t, r.Err(), index.ErrUnusable)
	})
}

// checkWhole adds all events to a Checker and walks.
func checkWhole(t *testing.T, f *file, x *index.Index, log []index.Entry) (c *index.Checker, problems []index.Problem) {
	c = x.Check()
	t.Cleanup(c.Close)
	for _, e := range log {
		c.Event(e)
	}
	for more := true; more; {
		var err error
		more, err = c.Walk(f.ReadTx, false, func(p index.Problem) { problems = append(problems, p) })
		require.NoError(t, err)
	}
	return c, problems
}

// missing returns the problems that Reader.Check reports.
func missing(t *testing.T, f *file, x *index.Index, log []index.Entry) (texts []string) {
	f.read(t, x.Snapshot(), log[len(log)-1].Position, func(r *index.Reader) {
		for _, e := range log {
			_, err := r.Check(e, func(p index.Problem) {
				require.Equal(t, e.Position, p.Position)
				if p.Kind == index.WrongEntry {
					texts = append(texts, p.Text)
				}
			})
			require.NoError(t, err)
		}
	})
	return texts
}

// stray returns the problems that Stray reports.
func stray(t *testing.T, f *file, c *index.Checker, log []index.Entry) (texts []string) {
	entry := func(p eventstore.Position) (index.Entry, bool) {
		if p > eventstore.Position(len(log)) {
			return index.Entry{}, false
		}
		return log[p-1], true
	}
	require.NoError(t, c.Stray(f.ReadTx, entry, func(_ eventstore.Position, text string) { texts = append(texts, text) }))
	return texts
}

// TestChecker_ReportsWrongOrder checks indexes that agree with their logs. A stream
// must have each version once, and a key must belong to one commit.
func TestChecker_ReportsWrongOrder(t *testing.T) {
	tests := map[string]struct {
		change func(log []index.Entry)
		want   index.Problem
		gaps   bool // a problem even if gaps are allowed
	}{
		"a gap":           {func(log []index.Entry) { log[5].Version = 5 }, index.Problem{Kind: index.BrokenStream, Position: 6, Text: `version 5 of stream "a-1", where version 3 comes next`}, false},
		"a gap at first":  {func(log []index.Entry) { log[3].Version = 2 }, index.Problem{Kind: index.BrokenStream, Position: 4, Text: `version 2 of stream "a-2", where version 1 comes next`}, false},
		"the same again":  {func(log []index.Entry) { log[5].Version = 2 }, index.Problem{Kind: index.BrokenStream, Position: 6, Text: `version 2 of stream "a-1", where version 3 comes next`}, true},
		"version 0":       {func(log []index.Entry) { log[3].Version = 0 }, index.Problem{Kind: index.BrokenStream, Position: 4, Text: `version 0 of stream "a-2", where version 1 comes next`}, true},
		"a key of two":    {func(log []index.Entry) { log[2].Key = "k" }, index.Problem{Kind: index.RepeatedKey, Position: 3, Text: `key "k" is also the key of the commit at position 1`}, true},
		"in another run":  {func(log []index.Entry) { log[5].Key = "k" }, index.Problem{Kind: index.RepeatedKey, Position: 6, Text: `key "k" is also the key of the commit at position 1`}, true},
		"a key of a type": {func(log []index.Entry) { log[5].Key, log[5].Version = "t", 7 }, index.Problem{Kind: index.BrokenStream, Position: 6, Text: `version 7 of stream "a-1", where version 3 comes next`}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log := checkedLog()
			test.change(log)
			f, x := written(t, log[:4], log[4:])
			differing, problems, err := check(f, x, log, false)
			require.NoError(t, err)
			require.Empty(t, differing)
			require.Equal(t, []index.Problem{test.want}, problems)
			_, problems, err = check(f, x, log, true)
			require.NoError(t, err)
			require.Equal(t, test.gaps, len(problems) > 0)

			var byReader []index.Problem
			f.read(t, x.Snapshot(), 6, func(r *index.Reader) {
				for _, e := range log {
					_, err := r.Check(e, func(p index.Problem) { byReader = append(byReader, p) })
					require.NoError(t, err)
				}
			})
			require.Equal(t, []index.Problem{test.want}, byReader)

			f = newFile(t)
			x = f.open(t, large)
			add(x, log...)
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, x.Finish(f, false), &corrupt)
			require.Equal(t, eventstore.CorruptError{Position: test.want.Position, Reason: test.want.Text}, *corrupt)
			require.EqualValues(t, 6, x.Saved())
			if !test.gaps {
				require.NoError(t, x.Finish(f, true))
			}
		})
	}
}

func TestFinish_WritesAllOfAGoodLog(t *testing.T) {
	log := checkedLog()
	f := newFile(t)
	x := f.open(t, large)
	require.NoError(t, x.Finish(f, false), "an empty index")
	add(x, slices.Clone(log)...)
	require.NoError(t, x.Finish(f, false))
	require.EqualValues(t, 6, x.Saved())
	requireWhole(t, f, x, log)
	f.before = func(int) error { return errInjected }
	add(x, index.Entry{Position: 7, Type: "t"})
	require.ErrorIs(t, x.Finish(f, false), errInjected)
	require.EqualValues(t, 6, x.Saved())
}
