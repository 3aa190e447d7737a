package boltstore

import (
	"context"
	"fmt"
	"io"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/jsonl"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/progress"
)

// ExportOptions are the options of Export. Nil and zero values mean the defaults.
type ExportOptions struct {
	// After begins the export after this position, which must be the last of a commit:
	// usually Through of the previous export. 0 begins with the first event.
	After eventstore.Position
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// ExportReport is the result of Export.
type ExportReport struct {
	// Through is the last position in the export. It is that of ExportOptions.After if
	// there was nothing to export.
	Through eventstore.Position
	// Events is the number of events, one a line, and Bytes the size of all lines.
	Events int
	Bytes  int64
}

// exportBuffer is about the number of bytes that are written at a time.
const exportBuffer = 256 << 10

// Export writes the events up to the present head to w, one line of JSON for each, with all
// fields of the event, so that [Import] makes the same log from the lines.
// docs/reference/export-format.md describes the lines. Appends and reads go on meanwhile; no
// transaction is open while w is written (I7). Its memory is that of one page and does not
// grow with the log.
//
// The lines written before an error are part of the export, and the report counts them; the
// last line may be cut if w has failed. Errors a caller can match: the context's, ErrClosed,
// ErrInvalid (After is beyond the head or inside a commit), ErrCorrupt (a record is damaged;
// the events before it have been written), and those of w.
func (s *Store) Export(ctx context.Context, w io.Writer, o *ExportOptions) (ExportReport, error) {
	if err := s.usable(ctx); err != nil {
		return ExportReport{}, err
	}
	x := &exporter{store: s, w: w}
	if o != nil {
		x.opts = *o
	}
	x.done.Through = x.opts.After
	if err := x.run(ctx); err != nil {
		return x.done, fmt.Errorf("export %s: %w", s.file.Path, err)
	}
	return x.done, nil
}

// exporter is one run of Export.
type exporter struct {
	store *Store
	w     io.Writer
	opts  ExportOptions
	lines []byte
	held  int // lines not written yet
	done  ExportReport
}

func (x *exporter) run(ctx context.Context) error {
	head := x.store.tail.last().through
	if x.opts.After > head {
		return fmt.Errorf("%w: after position %d, beyond the head %d", eventstore.ErrInvalid, x.opts.After, head)
	}
	report := progress.Reporter(x.opts.After, x.opts.Progress)
	for scan := x.store.reader.scan(eventstore.All(), window{from: x.opts.After + 1, to: head}); !scan.done; {
		pageErr := scan.page(logfile.PageEvents) // records found before the error are written first
		if err := x.page(scan); err != nil {
			return err
		}
		if pageErr != nil {
			return pageErr
		}
		if report != nil {
			report(x.done.Through, head)
		}
		if err := x.store.usable(ctx); err != nil {
			return err
		}
	}
	return nil
}

// page writes the events that a page of the scan has found.
func (x *exporter) page(scan *scan) (err error) {
	for i := range scan.found {
		r := &scan.found[i]
		if first := r.Event.Position == x.opts.After+1; first && r.Place.I > 0 {
			return fmt.Errorf("%w: after position %d, which is inside a commit of %d events", eventstore.ErrInvalid, x.opts.After, r.Place.N)
		}
		if x.lines, err = jsonl.AppendLine(x.lines, r); err != nil {
			return err
		}
		x.held++
		if len(x.lines) >= exportBuffer {
			if err := x.flush(); err != nil {
				return err
			}
		}
	}
	return x.flush()
}

func (x *exporter) flush() error {
	n, err := x.w.Write(x.lines)
	x.done.Bytes += int64(n)
	if err != nil {
		return err
	}
	x.done.Through += eventstore.Position(x.held)
	x.done.Events += x.held
	x.lines, x.held = x.lines[:0], 0
	return nil
}
