package trial_test

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/proof"
	"github.com/yore-es/yore/internal/prooftest/trial"
)

// TestMain is the child, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		debug.SetMaxStack(16 << 20)
		if err := trial.Serve(context.Background(), serve); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

var kept [][]byte

// serve is a child that comes to the end that the case names.
func serve(_ context.Context, c string) string {
	trial.Note("begin")
	trial.Note("about to " + c)
	switch c {
	case "crash":
		panic("on purpose")
	case "overflow":
		fmt.Fprintln(os.Stderr, overflow(1))
	case "hang":
		select {}
	case "swell":
		for {
			room := make([]byte, 1<<20)
			for i := range room {
				room[i] = 1
			}
			kept = append(kept, room)
		}
	}
	return c + " done"
}

func overflow(n int) int {
	if n == 0 {
		return 0
	}
	return overflow(n+1) + 1
}

// TestEach_SurvivesItsChildren tries cases that end their child in all ways, each
// followed by one that answers.
func TestEach_SurvivesItsChildren(t *testing.T) {
	plan := trial.Plan{Child: "any", Workers: 1, Timeout: 5 * time.Second, Memory: 128 << 20,
		Args: func(int) ([]string, error) { return nil, nil }}
	cases := []string{"answer", "crash", "answer", "overflow", "answer", "swell", "answer", "hang", "answer"}
	ways := map[string]string{"crash": "crashed", "overflow": "crashed", "swell": "swollen", "hang": "hung"}
	i := 0
	err := trial.Each(t.Context(), &proof.Env{}, plan, cases, func(c, answer string, died *trial.Died) error {
		require.Equal(t, cases[i], c)
		i++
		if ways[c] == "" {
			require.Nil(t, died)
			require.Equal(t, c+" done", answer)
			return nil
		}
		require.NotNil(t, died, c)
		require.Equal(t, ways[c], died.How())
		require.Equal(t, "about to "+c, died.Doing)
		require.True(t, strings.HasPrefix(died.Error(), died.How()), died.Error())
		return nil
	})
	require.NoError(t, err)
	require.Len(t, cases, i)
}
