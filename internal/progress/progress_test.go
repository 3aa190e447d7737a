package progress_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/progress"
)

func TestReporter(t *testing.T) {
	require.Nil(t, progress.Reporter(0, nil))

	synctest.Test(t, func(t *testing.T) {
		var got eventstore.Progress
		at := progress.Reporter(100, func(p eventstore.Progress) { got = p })
		at(100, 500)
		require.Equal(t, eventstore.Progress{Done: 100, Total: 500}, got, "there is no rate yet")
		time.Sleep(2 * time.Second)
		at(200, 500)
		require.Equal(t, eventstore.Progress{Done: 200, Total: 500, Rate: 50, Remaining: 6 * time.Second}, got)
		at(500, 500)
		require.Equal(t, eventstore.Progress{Done: 500, Total: 500, Rate: 200}, got)
		at(500, 0)
		require.Equal(t, eventstore.Progress{Done: 500, Rate: 200}, got, "the end is not known")
	})
}
