package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// plan returns all cases. In the short form each call fails once, in one mode and
// with one error; in the long form in all modes and with all errors.
func (s *sweep) plan(ctx context.Context) (cases []testCase, err error) {
	p := &planner{sweep: s, segments: workload.NewSegments(ctx, s.env)}
	defer func() { err = errors.Join(err, p.segments.Close()) }()
	for i, mode := range workload.Modes() {
		bases, err := p.bases(mode)
		if err != nil {
			return nil, err
		}
		openings := []base{{}, bases[len(bases)/2]}
		for _, b := range openings {
			if err := p.opening(mode, b); err != nil {
				return nil, err
			}
		}
		if err := p.compacting(mode, bases[len(bases)/4]); err != nil {
			return nil, err
		}
		for commit := 1; commit <= appends; commit++ {
			if s.env.Long || commit%len(workload.Modes()) == i {
				if err := p.commit(mode, commit, bases[commit-1]); err != nil {
					return nil, err
				}
			}
		}
	}
	return p.cases, nil
}

// planner finds the calls.
type planner struct {
	sweep    *sweep
	segments *workload.Segments
	disks    int
	cases    []testCase
}

// base is a disk after some commits.
type base struct {
	disk  simfs.Disk
	marks []string
}

// bases runs all appends without a fault, and returns the disk before each.
func (p *planner) bases(mode workload.Mode) ([]base, error) {
	var bases []base
	err := p.on(nil, func(r *simfs.Recorder) error {
		if err := p.segments.Open(r.Dir(), p.sweep.params, mode).Clean(); err != nil {
			return err
		}
		for range appends {
			if err := p.segments.Append(1).Clean(); err != nil {
				return err
			}
			trace := r.Trace()
			bases = append(bases, base{trace.Durable(len(trace.Ops)), append(trace.Marks(), "closed")})
		}
		return p.segments.Finish().Clean()
	})
	// Before the first commit the log is empty.
	first := bases[0].marks
	for i, mark := range first {
		if strings.HasPrefix(mark, "begin") {
			empty, err := p.empty(mode)
			return append([]base{{empty, append(append([]string{}, first[:i]...), "closed")}}, bases...), err
		}
	}
	return nil, errors.Join(err, errors.New("the workload began no commit"))
}

// empty returns the disk of a store without commits.
func (p *planner) empty(mode workload.Mode) (disk simfs.Disk, err error) {
	err = p.on(nil, func(r *simfs.Recorder) error {
		if err := errors.Join(p.segments.Open(r.Dir(), p.sweep.params, mode).Clean(), p.segments.Finish().Clean()); err != nil {
			return err
		}
		trace := r.Trace()
		disk = trace.Durable(len(trace.Ops))
		return nil
	})
	return disk, err
}

// opening adds the cases in which a call of Open fails.
func (p *planner) opening(mode workload.Mode, b base) error {
	return p.on(b.disk, func(r *simfs.Recorder) error {
		r.Inject(simfs.Fault{})
		err := p.segments.Open(r.Dir(), p.sweep.params, mode).Clean()
		p.add(r, testCase{mode: mode, commit: opening, base: b.disk, marks: b.marks}, true)
		return errors.Join(err, p.segments.Finish().Clean())
	})
}

// compacting adds the cases in which a call of a compaction fails.
func (p *planner) compacting(mode workload.Mode, b base) error {
	return p.on(b.disk, func(r *simfs.Recorder) error {
		err := p.segments.Open(r.Dir(), p.sweep.params, mode).Clean()
		r.Inject(simfs.Fault{})
		err = errors.Join(err, p.segments.Compact().Clean())
		p.add(r, testCase{mode: mode, commit: compacting, base: b.disk, marks: b.marks}, true)
		return errors.Join(err, p.segments.Finish().Clean())
	})
}

// commit adds the cases in which a call of a commit fails.
func (p *planner) commit(mode workload.Mode, commit int, b base) error {
	return p.on(b.disk, func(r *simfs.Recorder) error {
		err := p.segments.Open(r.Dir(), p.sweep.params, mode).Clean()
		r.Inject(simfs.Fault{})
		err = errors.Join(err, p.segments.Append(1).Clean())
		p.add(r, testCase{mode: mode, commit: commit, base: b.disk, marks: b.marks}, p.sweep.env.Long)
		return errors.Join(err, p.segments.Finish().Clean())
	})
}

// add adds cases for all calls that r has counted: with all errors, or with one, in
// turn.
func (p *planner) add(r *simfs.Recorder, c testCase, all bool) {
	for _, site := range simfs.Sites() {
		for n := 1; n <= r.Calls(site); n++ {
			faults := faultsOf(site, n)
			if !all {
				at := (c.commit + n) % len(faults)
				faults = faults[at : at+1]
			}
			for _, c.fault = range faults {
				p.cases = append(p.cases, c)
			}
		}
	}
}

func (p *planner) on(disk simfs.Disk, do func(*simfs.Recorder) error) error {
	p.disks++
	r, err := p.sweep.mounted.NewDisk(fmt.Sprint("plan-", p.disks), disk)
	if err != nil {
		return err
	}
	defer r.Discard()
	return do(r)
}
