package faults

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// worker tries cases, one after the other.
type worker struct {
	sweep    *sweep
	segments *workload.Segments
	verifier *workload.Verifier
}

// try runs a case and explores power losses afterwards.
func (w *worker) try(c testCase) error {
	s := w.sweep
	s.mu.Lock()
	s.cases++
	s.sites[c.fault.At]++
	number := s.cases
	s.mu.Unlock()
	r, err := s.mounted.NewDisk(fmt.Sprint("case-", number), c.base)
	if err != nil {
		return err
	}
	defer r.Discard()
	from, m := w.run(r, c)
	if err := judge(c, m, r.Injected()); err != nil {
		return s.env.Keep(fmt.Errorf("%v: %w", c, err), c.String(), nil)
	}
	s.mu.Lock()
	s.unknown += m.Unknown
	s.mu.Unlock()
	images := imagesOfCase
	if c.fault.At == simfs.WriteData {
		images = imagesOfDataWrite
	}
	return w.explore(r.Trace(), c, from, uint64(number), images)
}

// run runs the segment of a case. from is the operation before which the fault was
// injected.
func (w *worker) run(r *simfs.Recorder, c testCase) (from int, m workload.Met) {
	if c.commit == opening {
		r.Inject(c.fault)
	}
	if m = w.segments.Open(r.Dir(), w.sweep.params, c.mode); m.Err() != nil {
		return from, m
	}
	if c.commit != opening {
		from = r.Len()
		r.Inject(c.fault)
	}
	if c.commit == compacting {
		if m = w.segments.Compact(); m.Err() != nil {
			return from, m
		}
	}
	if m = w.segments.Append(4); m.Err() != nil {
		return from, m
	}
	return from, w.segments.Finish()
}

// judge returns an error if the application did not meet the fault as it must. If
// another goroutine writes the index, both the number of calls and the goroutine
// whose call fails are random.
func judge(c testCase, m workload.Met, injected bool) error {
	switch {
	case m.Err() != nil:
		return m.Err()
	case c.mode == workload.WithIndex && m.Unknown+m.Refused+m.Opening == 0:
		return nil
	case !injected:
		return errors.New("the call was not made")
	case m.Unknown > 0 && (c.fault.At == simfs.WriteData || c.fault.At == simfs.SyncData || c.fault.At == simfs.SetSize):
		return errors.New("ErrUnknownOutcome, though the transaction cannot have become the newest")
	case m.Unknown+m.Refused+m.Opening == 0 && c.commit > 0:
		return errors.New("no call of the store returned an error")
	}
	return nil
}

// explore checks images of power losses since the fault.
func (w *worker) explore(trace simfs.Trace, c testCase, from int, seed uint64, images int) error {
	s := w.sweep
	marks := append(append([]string{}, c.marks...), trace.Marks()...)
	if err := w.verifier.Begin(s.params, marks); err != nil {
		return err
	}
	o := workload.Exploration(s.env.Seed^seed, images)
	o.From = from
	explored, err := simfs.Explore(trace, o, func(image simfs.Image) error {
		known := len(c.marks) + image.Marks
		_, err := w.verifier.Check(image.Disk, known)
		var wrong *workload.Wrong
		if !errors.As(err, &wrong) {
			return err
		}
		s.mu.Lock()
		s.classes[wrong.Class]++
		s.mu.Unlock()
		return workload.KeepImage(s.env, c.String(), s.params, marks[:known], image, wrong)
	})
	s.mu.Lock()
	s.explored.Add(explored)
	s.mu.Unlock()
	return err
}
