package eventstore_test

import (
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// statusLine formats the progress of a task.
func statusLine(p eventstore.Progress) string {
	switch {
	case p.Total == 0:
		return fmt.Sprintf("%d events, %.0f a second", p.Done, p.Rate)
	case p.Rate == 0:
		return fmt.Sprintf("%d of %d events", p.Done, p.Total)
	default:
		return fmt.Sprintf("%d of %d events, %.0f a second, %v to go", p.Done, p.Total, p.Rate, p.Remaining.Round(time.Second))
	}
}

// Rebuilds of views, backups and checks report their progress in the same form.
func ExampleProgress() {
	for _, p := range []eventstore.Progress{
		{Done: 0, Total: 1_000_000},
		{Done: 250_000, Total: 1_000_000, Rate: 50_000, Remaining: 15 * time.Second},
		{Done: 250_000, Rate: 50_000},
	} {
		fmt.Println(statusLine(p))
	}
	// Output:
	// 0 of 1000000 events
	// 250000 of 1000000 events, 50000 a second, 15s to go
	// 250000 events, 50000 a second
}
