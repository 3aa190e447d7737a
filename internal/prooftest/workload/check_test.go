package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/packs"
	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// ran runs a scenario in a directory and returns its marks.
func ran(t *testing.T, scenario Scenario, dir string, p Params) []string {
	t.Helper()
	s, err := newSession(t.Context(), dir, NewScript(p))
	require.NoError(t, err)
	s.options.IndexMemory = p.indexMemory()
	require.NoError(t, s.open())
	require.NoError(t, scenario.run(s))
	require.NoError(t, errors.Join(s.close(), s.marks.Close()))
	marks, err := os.ReadFile(filepath.Join(dir, simfs.MarksName))
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(marks)), "\n")
}

// judged checks a directory after marks.
func judged(t *testing.T, dir string, p Params, marks []string) ([]string, error) {
	t.Helper()
	h, err := Replay(marks)
	require.NoError(t, err)
	return Check(context.Background(), dir, NewScript(p), h)
}

func TestScenarios_AreFoundGood(t *testing.T) {
	for _, scenario := range Scenarios() {
		t.Run(scenario.Name, func(t *testing.T) {
			if testing.Short() && scenario.Name == "growth" {
				t.Skip("it takes long")
			}
			t.Parallel()
			dir := t.TempDir()
			p := Params{Seed: 7, Large: scenario.Large}
			marks := ran(t, scenario, dir, p)
			n, err := packs.Count(filepath.Join(dir, LogName))
			require.NoError(t, err)
			require.True(t, n > 0 || scenario.Large, "the log has packs, unless most of its records are too large")
			found, err := judged(t, dir, p, marks)
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(dir, simfs.MarksName)))
			marks = append(found, "begin w9-1") // the one that Check appended
			_, err = judged(t, dir, p, append(marks, ran(t, scenario, dir, p)...))
			require.NoError(t, err, "the scenario runs on what it has left")
		})
	}
}

func TestCheck_FindsWhatIsWrong(t *testing.T) {
	p := Params{Seed: 3}
	scenario, err := find("single")
	require.NoError(t, err)
	good := t.TempDir()
	marks := ran(t, scenario, good, p)
	content, err := os.ReadFile(filepath.Join(good, LogName))
	require.NoError(t, err)

	last := func(verb string) int {
		for i := len(marks) - 1; ; i-- {
			if strings.HasPrefix(marks[i], verb) {
				return i
			}
		}
	}
	without := func(i int) []string { return append(append([]string{}, marks[:i]...), marks[i+1:]...) }
	with := func(more ...string) []string { return append(append([]string{}, marks...), more...) }
	for name, c := range map[string]struct {
		marks []string
		class string
	}{
		"all is well":                  {marks, ""},
		"an acknowledged commit lacks": {with("begin w0-41", "acked w0-41 1000 1001"), Lost},
		"one was seen and lacks":       {with("seen 1000"), Lost},
		"one is not where it was":      {with("acked w0-1 2 3"), Lost},
		"one was never begun":          {append(without(last("acked"))[:last("begin")], "closed"), Extra},
		"one was refused":              {append(without(last("acked")), "failed w0-40"), Extra},
		"one was in flight":            {without(last("acked")), ""},
		"the outcome was unknown":      {append(without(last("acked")), "unknown w0-40"), ""},
		"rows lack":                    {with("rows async 1"), Lost},
		"an attached view is behind":   {with("attached inline"), Derived},
		"a projection is not live":     {with("building 1", "live 1"), Derived},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, LogName), content, 0o600))
			requireClass(t, c.class, dir, p, c.marks)
		})
	}
	t.Run("another script", func(t *testing.T) { requireClass(t, Extra, good, Params{Seed: 4}, marks) })
	t.Run("no file", func(t *testing.T) { requireClass(t, Lost, t.TempDir(), p, marks) })
	t.Run("no file yet", func(t *testing.T) { requireClass(t, "", t.TempDir(), p, []string{"opening"}) })
	t.Run("no log", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, LogName), make([]byte, len(content)), 0o600))
		requireClass(t, Unusable, dir, p, marks)
	})
}

func requireClass(t *testing.T, class, dir string, p Params, marks []string) {
	t.Helper()
	_, err := judged(t, dir, p, marks)
	var wrong *Wrong
	if class == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, class, wrong.Class, wrong.Text)
}

func TestScript(t *testing.T) {
	a, b := NewScript(Params{Seed: 1}), NewScript(Params{Seed: 1})
	require.Equal(t, *a.Commit(ID{2, 5}), *b.Commit(ID{2, 5}), "commits do not depend on which were asked for before")
	for n := 1; n <= 20; n++ {
		id := ID{3, n}
		c := a.Commit(id)
		require.NoError(t, eventstore.Validate(*c))
		require.Equal(t, *c, *b.Commit(id))
		for i, e := range c.Events {
			found, place := idOf(e.ID)
			require.Equal(t, id, found)
			require.Equal(t, i, place)
		}
		parsed, err := ParseID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, parsed)
	}
}

func TestReplay_RefusesWhatIsNoMark(t *testing.T) {
	for _, mark := range []string{"", "nonsense", "acked w0-1", "acked x 1 2", "rows async", "seen it", "begin"} {
		_, err := Replay([]string{mark})
		require.Error(t, err, "%q", mark)
	}
}

func TestSegment_ReadableSeesAnEventTooMany(t *testing.T) {
	s, err := newSegment(t.Context(), segmentRequest{Dir: t.TempDir(), Params: Params{Seed: 5}, Mode: WithRows})
	require.NoError(t, err)
	require.NoError(t, s.open())
	require.NoError(t, s.append())
	require.NoError(t, s.readable())
	_, err = s.store.Append(t.Context(), *s.script.Commit(ID{4, 1}))
	require.NoError(t, err)
	require.Error(t, s.readable(), "it was not acknowledged to the segment")
	require.ErrorContains(t, s.refuses(), fmt.Sprint(eventstore.ErrFailed), "the store did not fail")
	require.NoError(t, errors.Join(s.close(), s.marks.Close()))
	require.NoError(t, s.store.Close())
	_, err = boltstore.Open(filepath.Join(s.dir, LogName), nil)
	require.NoError(t, err)
}
