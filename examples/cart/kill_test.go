package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/projection"
)

// TestImport_Killed kills the program several times in the middle of an import, and lets
// the last import finish.
func TestImport_Killed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and imports many orders")
	}
	binary := buildProgram(t)
	path := write(t, manyOrders(3000))
	whole, c := newCLI(t), newCLI(t)
	_, want, _ := whole.run("import", path)

	var lengths []int // of the log, after each kill
	for i := range 5 {
		if !importAndKill(t, binary, c.db, path, time.Duration(20+20*i)*time.Millisecond) {
			break // the import had ended, on a fast machine
		}
		lengths = append(lengths, len(c.log()))
		requireWhole(t, c.db)
	}
	total := len(readLog(t, whole.db))
	t.Logf("events after each kill: %v, of %d", lengths, total)
	require.NotEmpty(t, lengths)
	require.IsNonDecreasing(t, lengths, "what had been written is gone")
	require.Less(t, lengths[0], total)
	require.NotZero(t, lengths[len(lengths)-1])

	output, err := exec.Command(binary, "-db", c.db, "import", path).Output()
	require.NoError(t, err)
	require.Equal(t, strings.Split(want, "\n")[0], strings.Split(string(output), "\n")[0])
	require.NotContains(t, string(output), "repeated 0\n")
	require.Equal(t, streams(t, whole.db), streams(t, c.db))
	requireReadModels(t, c.db)
	requireReadModels(t, whole.db)
}

// requireWhole checks that both read models, if they can be read, are the fold of the log
// up to their checkpoints, and that the checkpoint of the summaries, which are committed
// with the events, is the head.
func requireWhole(t *testing.T, db string) {
	t.Helper()
	readOnly(t, db, func(s *shop) {
		head, err := s.store.Head(t.Context())
		require.NoError(t, err)
		status, err := s.views.Status(t.Context(), s.summaries.Projection)
		require.NoError(t, err)
		require.Equal(t, head, status.Position)
		if head > 0 {
			require.Equal(t, projection.Live, status.State)
			requireSummaries(t, s, s.store, head)
		}
		status, err = s.views.Status(t.Context(), s.ranking.Projection)
		require.NoError(t, err)
		if status.State == projection.Live && status.Position > 0 {
			requireRanking(t, s, s.store, status.Position)
		}
		t.Logf("killed at position %d; the best sellers are %v at %d", head, status.State, status.Position)
	})
}

func buildProgram(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "cart.exe")
	output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

// importAndKill starts an import and kills it a time after it began to write. It reports
// whether the import was still running then.
func importAndKill(t *testing.T, binary, db, path string, after time.Duration) bool {
	t.Helper()
	run, before := exec.Command(binary, "-db", db, "import", path), lastWrite(db)
	require.NoError(t, run.Start())
	for begin := time.Now(); time.Since(begin) < 10*time.Second && lastWrite(db).Equal(before); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(after)
	_ = run.Process.Kill() // an error if the process has ended; Wait reports that
	return run.Wait() != nil
}

// lastWrite returns the time of the last write to the file, or the zero Time for no file.
func lastWrite(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// TestImport_Interrupted interrupts an import, which then ends cleanly.
func TestImport_Interrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and imports many orders")
	}
	binary := buildProgram(t)
	c := newCLI(t)
	run := exec.Command(binary, "-db", c.db, "import", write(t, manyOrders(3000)))
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	require.NoError(t, run.Start())
	for begin := time.Now(); time.Since(begin) < 10*time.Second && lastWrite(c.db).IsZero(); {
		time.Sleep(time.Millisecond)
	}
	if err := run.Process.Signal(os.Interrupt); err != nil {
		require.NoError(t, run.Process.Kill())
		t.Skipf("this system cannot interrupt a process: %v", err)
	}
	var exit *exec.ExitError
	require.ErrorAs(t, run.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode(), stderr.String())
	require.Empty(t, stdout.String())
	require.Contains(t, stderr.String(), "cart: import stopped: ")
}
