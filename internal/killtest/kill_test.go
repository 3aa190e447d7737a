package killtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// childFile and childMode are environment variables. If they are set, the test
// binary writes events and read models to the file until it is killed.
const (
	childFile = "YORE_TEST_KILL_FILE"
	childMode = "YORE_TEST_KILL_MODE"
	// killRounds is an environment variable: how often each mode is killed, if not
	// the default.
	killRounds = "YORE_KILL_ROUNDS"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		time.AfterFunc(time.Minute, func() { os.Exit(1) }) // in case the parent does not kill it
		fmt.Println("error:", write(path, os.Getenv(childMode)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

type Sold struct {
	SKU    string `json:"sku"`
	Pieces int64  `json:"pieces"`
}

type Sales struct {
	Pieces int64 `json:"pieces"`
	Last   uint64
}

func registry() *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[Sold](b, "sold", 1, codec.Tags(func(s Sold) []string { return []string{"sku:" + s.SKU} }))
	r, err := b.Build()
	if err != nil {
		panic(err)
	}
	return r
}

// model is the read model: a table with an index, and a log that shows whether each
// event was applied once.
type model struct {
	projection *projection.Projection
	sales      *projection.Table[string, Sales]
	byPieces   *projection.Index[string, Sales, int64]
	seen       *projection.Table[uint64, int]
}

func newModel() *model {
	p := projection.New("sales", 1)
	m := &model{
		projection: p,
		sales:      projection.NewTable[string, Sales](p, "by-sku"),
		seen:       projection.NewTable[uint64, int](p, "seen"),
	}
	m.byPieces = projection.NewIndex(m.sales, "pieces", func(s Sales) (int64, bool) { return s.Pieces, true })
	projection.On(p, func(tx projection.Tx, e fold.Event[Sold]) error {
		if err := m.seen.In(tx).Update(uint64(e.Position)%512, func(n int) int { return n + 1 }); err != nil {
			return err
		}
		return m.sales.In(tx).Update(e.Data.SKU, func(s Sales) Sales {
			return Sales{Pieces: s.Pieces + e.Data.Pieces, Last: uint64(e.Position)}
		})
	})
	return m
}

// write appends events and maintains the read model, in one of the modes, until it
// fails.
func write(path, mode string) error {
	ctx := context.Background()
	s, err := boltstore.Open(path, &boltstore.Options{LockTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	// The log has the errors after which a run is repeated, too.
	views, err := projection.NewHost(s, registry(), &projection.Options{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		return err
	}
	m, failed := newModel(), make(chan error)
	if mode == "inline" {
		if err := views.Attach(ctx, m.projection); err != nil {
			return err
		}
	} else {
		// Until there is a live build, to run and to rebuild are one thing.
		if err := views.CatchUp(ctx, m.projection); err != nil {
			return err
		}
		go func() { failed <- views.Run(ctx, m.projection) }()
	}
	fmt.Println("ready")
	for w := range 3 {
		go func() { failed <- appendSales(ctx, s, w) }()
	}
	if mode == "rebuild" {
		go func() {
			for {
				if err := views.Rebuild(ctx, nil, m.projection); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

func appendSales(ctx context.Context, s eventstore.Store, w int) error {
	r := registry()
	for {
		events := make([]eventstore.NewEvent, 1+rand.IntN(4))
		for i := range events {
			encoded, err := r.Encode(Sold{SKU: fmt.Sprint("sku-", rand.IntN(50)), Pieces: 1 + rand.Int64N(9)})
			if err != nil {
				return err
			}
			events[i] = eventstore.NewEvent{Type: encoded.Type, SchemaVersion: encoded.SchemaVersion, Codec: encoded.Codec, Data: encoded.Data}
		}
		if _, err := eventstore.AppendTo(ctx, s, eventstore.StreamID(fmt.Sprint("shop-", w)), eventstore.Any, events...); err != nil {
			return err
		}
	}
}

func TestReadModels_AreFoldsOfTheLogAfterAKill(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	if n, err := strconv.Atoi(os.Getenv(killRounds)); err == nil {
		rounds = n
	}
	for _, mode := range []string{"async", "inline", "rebuild"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.yore")
			for range rounds {
				killAtRandom(t, path, mode)
				check(t, path, mode)
			}
		})
	}
}

// killAtRandom starts a child and kills it after a random time.
func killAtRandom(t *testing.T, path, mode string) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path, childMode+"="+mode)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if lines.Text() == "ready" {
			time.AfterFunc(time.Duration(rand.IntN(250))*time.Millisecond, func() { _ = child.Process.Kill() })
		}
	}
	err = child.Wait()
	require.NotContains(t, strings.Join(said, "\n"), "error", "the process that writes failed")
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit) && !exit.Exited(), "the process that writes ended by itself: %v", err)
}

// check opens the file after a kill. The read model must be the fold of the log up
// to its position. Then it is brought up to date, by each means, and must be the
// fold of the whole log.
func check(t *testing.T, path, mode string) {
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	views, err := projection.NewHost(s, registry(), nil)
	require.NoError(t, err)
	ctx, m := t.Context(), newModel()

	status, err := views.Status(ctx, m.projection)
	require.NoError(t, err)
	if status.State == projection.Live && status.Position > 0 {
		require.Equal(t, m.fresh(t, s, status.Position), m.dump(t, s), "after the kill, at position %d", status.Position)
	}
	if mode == "inline" {
		head, err := s.Head(ctx)
		require.NoError(t, err)
		require.Equal(t, head, status.Position, "an inline view was not committed with the events")
		require.NoError(t, views.Attach(ctx, m.projection))
	} else {
		require.NoError(t, views.CatchUp(ctx, m.projection))
	}
	if mode == "rebuild" {
		require.NoError(t, views.Rebuild(ctx, nil, m.projection))
		checkpoints, err := s.Checkpoints(ctx)
		require.NoError(t, err)
		require.LessOrEqual(t, len(checkpoints), 2, "old builds are left: %v", checkpoints)
	}
	require.Equal(t, m.fresh(t, s, 0), m.dump(t, s), "after catching up")
}

// fresh returns the read model, built in memory, up to a position; 0 means the head.
func (m *model) fresh(t *testing.T, s eventstore.Store, to eventstore.Position) []string {
	view, err := projection.Build(t.Context(), s, registry(), m.projection, &projection.BuildOptions{To: to})
	require.NoError(t, err)
	return m.dump(t, view)
}

// dump returns all rows.
func (m *model) dump(t *testing.T, r projection.Reader) []string {
	var lines []string
	for row, err := range m.sales.Scan(t.Context(), r, projection.Range[string]{}) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint(row.Key, row.Value))
	}
	for row, err := range m.byPieces.Scan(t.Context(), r, projection.Range[int64]{}.Backward()) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint("by pieces ", row.Value.Pieces, row.Key))
	}
	for row, err := range m.seen.Scan(t.Context(), r, projection.Range[uint64]{}) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprint("seen ", row.Key, row.Value))
	}
	return lines
}
