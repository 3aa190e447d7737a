package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/yore-es/yore/projection"
)

// metrics writes the figures of the store and its read models, in the text format that
// Prometheus reads.
func (s *shop) metrics(w http.ResponseWriter, r *http.Request) {
	st, info := s.store.Stats(), s.store.Info()
	var text strings.Builder
	put := func(name string, value any) { fmt.Fprintln(&text, name, value) }
	put("yore_head", st.Tail.Head)
	put("yore_events_total", st.Writer.Events)
	put("yore_event_bytes_total", st.Writer.Bytes)
	put("yore_transactions_total", st.Writer.Transactions)
	put("yore_transactions_failed_total", st.Writer.Failed)
	put("yore_transaction_seconds_total", st.Writer.Syncing.Seconds())
	put("yore_waiting_calls", st.Writer.Waiting)
	put("yore_file_bytes", st.File.Size)
	put("yore_file_free_bytes", st.File.Free)
	put("yore_index_down", number(st.Index.Down))
	put("yore_warnings", len(info.Warnings))
	for _, p := range []*projection.Projection{s.summaries.Projection, s.ranking.Projection} {
		status, err := s.views.Status(r.Context(), p)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		view := fmt.Sprintf("{view=%q}", status.Projection)
		put("yore_view_behind"+view, status.Behind)
		put("yore_view_lag_seconds"+view, status.Lag.Seconds())
		put("yore_view_stopped"+view, number(status.Fault != nil || status.Failure != nil))
		put("yore_view_skipped_total"+view, status.SkippedCount)
	}
	_, _ = io.WriteString(w, text.String()) // an error is the connection's
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
