package index_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// wideLog is a log whose index takes many blocks.
func wideLog(n int) []index.Entry {
	log := shape{streams: 20, types: 3, tags: 9}.log(rand.New(rand.NewPCG(3, 4)), n)
	for i := range log {
		log[i].Key = fmt.Sprint(strings.Repeat("key ", 150), i)
	}
	return log
}

// interrupted returns a file and an index with the log frozen in many tables. The
// first table is so large that its run takes more than one write to put and to
// delete.
func interrupted(t *testing.T, log []index.Entry) (*file, *index.Index) {
	f := newFile(t)
	x := f.open(t, large)
	for _, group := range append([][]index.Entry{log[:540]}, split(log[540:], 9)...) {
		add(x, group...)
		require.True(t, x.Freeze(true))
	}
	return f, x
}

// requireRight asks a sample of questions about the whole log.
func requireRight(t *testing.T, f *file, x *index.Index, questions []question, last eventstore.Position) {
	f.read(t, x.Snapshot(), last, func(r *index.Reader) {
		for i := range questions {
			questions[i].tells(t, r, nil)
		}
	})
}

// TestMaintain_Interrupted lets each of the writes of a Maintain fail in turn.
// Lookups must go on. Then Maintain is called again, or the file is opened again as
// after a kill.
func TestMaintain_Interrupted(t *testing.T) {
	log := wideLog(640)
	last := eventstore.Position(len(log))
	known := upTo(log, last)
	questions := known.all()
	rand.Shuffle(len(questions), func(i, j int) { questions[i], questions[j] = questions[j], questions[i] })
	questions = questions[:50]
	f, x := interrupted(t, log)
	require.NoError(t, x.Maintain(f))
	writes := f.writes
	require.Greater(t, writes, 10+1+8+3, "no run took more than one write")
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed ", killed), func(t *testing.T) {
			t.Parallel()
			for failing := 1; failing <= writes; failing++ {
				f, x := interrupted(t, log)
				f.before = func(write int) error {
					if write == failing {
						return errInjected
					}
					return nil
				}
				require.ErrorIs(t, x.Maintain(f), errInjected, "write %d", failing)
				require.Equal(t, last, x.Through())
				requireRight(t, f, x, questions, last)
				if killed {
					x = f.open(t, large)
					add(x, log[x.Saved():]...)
					requireRight(t, f, x, questions, last)
					x.Freeze(true)
				}
				require.NoError(t, x.Maintain(f))
				require.False(t, x.Waiting())
				requireSwept(t, f)
				if failing%5 == 1 {
					requireWhole(t, f, x, log)
				}
			}
		})
	}
}

// TestMaintain_ReadFails lets each read of a merge fail in turn.
func TestMaintain_ReadFails(t *testing.T) {
	log := shape{streams: 9, types: 2, tags: 9}.log(rand.New(rand.NewPCG(3, 4)), 80)
	f := newFile(t)
	x := f.open(t, large)
	for _, group := range split(log, 8) {
		add(x, group...)
		x.Freeze(true)
	}
	require.ErrorIs(t, x.Maintain(noReadTx{f}), errInjected)
	require.Equal(t, 8, x.Stats().Runs)
	requireWhole(t, f, x, log)
	require.NoError(t, x.Maintain(f))
	require.Equal(t, 1, x.Stats().Runs)
	requireSwept(t, f)
	requireWhole(t, f, x, log)
}

type noReadTx struct{ *file }

func (noReadTx) ReadTx(func(*pages.Tx) error) error { return errInjected }

// TestMaintain_KeepsDamageOut expects that runs that cannot be merged stay as they
// are.
func TestMaintain_KeepsDamageOut(t *testing.T) {
	log := shape{streams: 9, types: 2, tags: 9}.log(rand.New(rand.NewPCG(3, 4)), 80)
	groups := split(log, 8)
	f, x := written(t, groups[:7]...)
	require.NoError(t, f.Update(func(tx *bolt.Tx) error {
		p := pairs(t, pages.View(tx))[3]
		return tx.Bucket([]byte(index.Bucket)).Put(p.key, p.value[:len(p.value)-1])
	}))
	add(x, groups[7]...)
	require.True(t, x.Freeze(true))
	for range 2 {
		require.ErrorIs(t, x.Maintain(f), index.ErrUnusable)
		require.Equal(t, 8, x.Stats().Runs)
		require.EqualValues(t, 80, x.Saved())
	}
}

// TestMaintain_MergesBySize counts the runs while a log grows: few of each level,
// the older ones larger.
func TestMaintain_MergesBySize(t *testing.T) {
	log := shape{streams: 3, types: 1, tags: 2}.log(rand.New(rand.NewPCG(3, 4)), 150)
	f, x := written(t)
	for i, e := range log {
		add(x, e)
		require.True(t, x.Freeze(true))
		require.NoError(t, x.Maintain(f))
		var levels []uint64
		require.NoError(t, f.ReadTx(func(tx *pages.Tx) (err error) {
			_, levels, err = index.Runs(tx)
			return err
		}))
		var want []uint64
		for level, events := uint64(2), 64; events > 0; level, events = level-1, events/8 {
			for range (i + 1) / events % 8 {
				want = append(want, level)
			}
		}
		require.Equal(t, want, levels, "after %d runs", i+1)
	}
	requireWhole(t, f, x, log)
	requireSwept(t, f)
}

// TestChecker_KeepsItsRuns expects that runs stay while a Checker is open, although
// they are merged, and are deleted after its Close.
func TestChecker_KeepsItsRuns(t *testing.T) {
	log := shape{streams: 9, types: 2, tags: 9}.log(rand.New(rand.NewPCG(3, 4)), 80)
	groups := split(log, 8)
	f, x := written(t, groups[:7]...)
	c := x.Check()
	require.Equal(t, log[69].Position, c.Through())
	add(x, groups[7]...)
	require.True(t, x.Freeze(true))
	require.NoError(t, x.Maintain(f))
	require.Equal(t, 1, x.Stats().Runs)
	postings := 0
	for _, e := range log[:70] {
		c.Event(e)
		postings += postingsOf(e)
	}
	for more := true; more; {
		var err error
		more, err = c.Walk(f.ReadTx, false, func(p index.Problem) { require.Fail(t, p.Text) })
		require.NoError(t, err)
	}
	require.Empty(t, c.Differing())
	require.Equal(t, postings, c.Postings())
	c.Close()
	require.NoError(t, x.Maintain(f))
	requireSwept(t, f)
}
