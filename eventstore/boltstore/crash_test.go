package boltstore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// crashFile, when set in the environment, makes the test binary a process that appends to the
// file until it is killed, and prints what was acknowledged. Its Options.IndexMemory is
// crashIndexMemory.
const (
	crashFile        = "YORE_TEST_CRASH_FILE"
	crashIndexMemory = "YORE_TEST_CRASH_INDEX_MEMORY"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // tests damage files; those of what is logged have loggers of their own
	if path := os.Getenv(crashFile); path != "" {
		appendUntilKilled(path)
	}
	os.Exit(m.Run())
}

const crashWriters = 8

// appendUntilKilled appends, from several writers with a stream each, commits
// of three events, and prints "writer version" for each once it is acknowledged.
func appendUntilKilled(path string) {
	time.AfterFunc(time.Minute, func() { os.Exit(1) }) // the test that should kill it has ended
	memory, err := strconv.Atoi(os.Getenv(crashIndexMemory))
	if err != nil {
		fmt.Println("error", err)
		return
	}
	s, err := boltstore.Open(path, &boltstore.Options{IndexMemory: memory})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	for w := range crashWriters {
		go func() {
			stream := eventstore.StreamID(fmt.Sprint("writer-", w))
			for {
				receipt, err := eventstore.AppendTo(context.Background(), s, stream, eventstore.Any, events(3)...)
				mu.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(w, receipt.Heads[0].Version)
				}
				mu.Unlock()
			}
		}()
	}
	select {}
}

// TestStore_KilledProcessesLoseNothingAcknowledged repeatedly kills a process that appends to
// one file, at random moments. Every second process writes its index all the time.
func TestStore_KilledProcessesLoseNothingAcknowledged(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	path := logPath(t)
	var acknowledged [crashWriters]eventstore.Version
	for round := range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashFile+"="+path, fmt.Sprint(crashIndexMemory, "=", round%2))
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		kill := time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { _ = child.Process.Kill() })
		readAcknowledged(t, out, &acknowledged)
		kill.Stop()
		require.Error(t, child.Wait(), "the process ended before it was killed")

		s, err := boltstore.Open(path, nil)
		require.NoError(t, err)
		verify(t, s)
		for w, version := range acknowledged {
			stream := eventstore.StreamID(fmt.Sprint("writer-", w))
			found := len(positions(t, s, eventstore.Stream(stream)))
			require.GreaterOrEqual(t, found, int(version), "acknowledged events of %s are gone", stream)
			require.LessOrEqual(t, found, int(version)+3, "more than the commit in flight of %s appeared", stream)
			require.Zero(t, found%3, "part of a commit of %s", stream)
			acknowledged[w] = eventstore.Version(found)
		}
		require.NoError(t, s.Close())
	}
	require.NotEmpty(t, statusOf(t, path).runs)
}

func readAcknowledged(t *testing.T, out io.Reader, acknowledged *[crashWriters]eventstore.Version) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var w int
		var version eventstore.Version
		if n, _ := fmt.Sscanf(lines.Text(), "%d %d", &w, &version); n == 2 {
			acknowledged[w] = version
		} else if len(lines.Text()) > 5 {
			t.Errorf("the appending process: %s", lines.Text())
		}
	}
}
