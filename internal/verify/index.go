package verify

import (
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// # Log and index are compared in both directions
//
// Problem. Each event must have its postings, and each posting its event. To look up every
// posting would take a random access each; to remember them, memory for each stream or key.
//
// Steps. The walk over the log adds up checksums of the postings that its events must have,
// by ranges of positions. The walk over the index adds up those of the postings that it has.
// Only where the sums of a range differ, its events and postings are looked up one by one
// (findDifferences). The postings of a stream lie in the order of positions, so the walk
// over the index also checks that versions follow each other.
//
// The part of the index that is in memory only, of the latest events, is looked up for each
// of these events (checkLatest).

// beginIndex takes a snapshot of the index on disk. endIndex must be called.
func (v *verifier) beginIndex() {
	if x, _ := v.store.Index(); x != nil && v.store.File.BadIndex == nil {
		v.index = x.Check()
	}
}

// checkStatus checks that there is an index and that it does not reach beyond the log.
func (v *verifier) checkStatus() error {
	if v.store.File.BadIndex != nil { // reported by checkFile
		return nil
	}
	damage, err := v.page(func(tx *pages.Tx) error {
		through, err := index.Through(tx, v.store.Seed)
		if err != nil {
			return err
		}
		if log := tx.Bucket(logfile.LogBucket); log != nil {
			key, _ := log.Cursor().Last()
			if last, _ := record.ParseKey(key); last < through {
				v.add(IndexEntry, 0, "the index reaches to position %d, and the log ends at position %d", through, last)
			}
		}
		return nil
	})
	if damage != nil {
		v.add(IndexEntry, 0, "%v", damage)
		v.endIndex()
	}
	return err
}

// endIndex releases the snapshot of the index.
func (v *verifier) endIndex() {
	if v.index != nil {
		v.index.Close()
		v.index = nil
	}
}

// checkEntries notes the entries that the index must have for a page of records.
func (v *verifier) checkEntries(entries []index.Entry) error {
	if v.index == nil {
		return nil
	}
	for i := range entries {
		if entries[i].Position > v.index.Through() {
			return v.checkLatest(entries[i:])
		}
		v.index.Event(entries[i])
	}
	return nil
}

// checkLatest looks up the entries of events that are not in the index on disk.
func (v *verifier) checkLatest(entries []index.Entry) error {
	if _, down := v.store.Index(); down {
		return nil
	}
	found, problems, damage, err := v.lookUp(entries)
	if damage != nil {
		v.add(IndexEntry, entries[0].Position, "%v", damage)
	}
	for _, p := range problems {
		if p.Kind != index.BrokenStream || v.damaged == 0 { // else a missing version was reported with its record
			v.addProblem(p, IndexEntry)
		}
	}
	v.result.Postings += found
	return err
}

// lookUp looks up events in the index. It returns the number of right postings and the
// problems. damage and err are those of page.
func (v *verifier) lookUp(entries []index.Entry) (found int, problems []index.Problem, damage, err error) {
	x, _ := v.store.Index()
	snapshot := x.Snapshot()
	damage, err = v.page(func(tx *pages.Tx) error {
		reader, err := snapshot.Reader(tx, v.result.Head)
		if err != nil {
			return err
		}
		for i := range entries {
			n, err := reader.Check(entries[i], func(p index.Problem) { problems = append(problems, p) })
			if err != nil {
				return err
			}
			found += n
		}
		return nil
	})
	return found, problems, damage, err
}

// addProblem notes a problem that the index has found, with the given kind unless it is a
// problem of the log.
func (v *verifier) addProblem(p index.Problem, kind Kind) {
	switch p.Kind {
	case index.RepeatedKey:
		kind = RepeatedKey
	case index.BrokenStream:
		kind = BrokenStream
	}
	v.add(kind, p.Position, "%s", p.Text)
}

// checkIndex walks over the index and compares it with the log.
func (v *verifier) checkIndex() error {
	if v.index == nil {
		return nil
	}
	var problems []index.Problem
	var damage error
	readTx := func(fn func(*pages.Tx) error) (err error) {
		damage, err = v.page(fn)
		return err
	}
	for more := true; more && damage == nil; {
		var err error
		more, err = v.index.Walk(readTx, false, func(p index.Problem) {
			if len(problems) < v.opts.MaxFindings {
				problems = append(problems, p)
			}
		})
		if err != nil {
			return err
		}
	}
	if damage != nil {
		v.add(DamagedPage, 0, "the rest of the index cannot be read: %v", damage)
	}
	v.result.Postings += v.index.Postings()
	for _, p := range problems {
		switch {
		case p.Kind == index.BrokenStream && v.damaged > 0:
			continue // a missing version was reported with its record
		case p.Kind == index.BrokenStream && v.index.Differs(p.Position):
			p.Kind = index.WrongEntry // the entry differs from the log
		}
		v.addProblem(p, IndexEntry)
	}
	if damage != nil {
		return nil
	}
	return v.findDifferences()
}

// findDifferences looks up the events and postings of the ranges whose sums differ. That is
// slow, and not done if all sums agree.
func (v *verifier) findDifferences() error {
	ranges := v.index.Differing()
	if len(ranges) == 0 {
		return nil
	}
	for _, r := range ranges {
		if err := v.compare(r[0], min(r[1], v.result.Head)); err != nil {
			return err
		}
	}
	if err := v.findStray(); err != nil {
		return err
	}
	if v.damaged == 0 && len(v.result.Findings) == 0 {
		v.add(IndexEntry, ranges[0][0], "the index differs from the log between here and position %d", ranges[0][1])
	}
	return nil
}

// compare looks up the events at positions from to to, both included, in pages.
func (v *verifier) compare(from, to eventstore.Position) error {
	for from <= to {
		var entries []index.Entry
		last := min(to, from+verifyEvents-1)
		damage, err := v.page(func(tx *pages.Tx) error {
			log := tx.Bucket(logfile.LogBucket)
			for p := from; p <= last; p++ {
				if r, err := v.record(log, p); err == nil {
					entries = append(entries, logfile.IndexEntry(&r))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if damage == nil { // damage was reported by the walk over the log
			if err := v.compareEntries(entries); err != nil {
				return err
			}
		}
		from = last + 1
	}
	return nil
}

// record returns the identity of the record at p.
func (v *verifier) record(log *pages.Tree, p eventstore.Position) (record.Record, error) {
	rec, err := logfile.NewReader(log).At(p)
	if err != nil {
		return record.Record{}, err
	}
	return record.DecodeIdentity(v.store.Seed, p, rec)
}

// compareEntries looks up events, together if possible, otherwise each alone.
func (v *verifier) compareEntries(entries []index.Entry) error {
	_, problems, damage, err := v.lookUp(entries)
	if err != nil {
		return err
	}
	if damage != nil && len(entries) > 1 {
		for i := range entries {
			if err := v.compareEntries(entries[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if damage != nil {
		v.add(IndexEntry, entries[0].Position, "%v", damage)
		return nil
	}
	for _, p := range problems {
		if p.Kind == index.WrongEntry { // others were reported by the walk over the index
			v.addProblem(p, IndexEntry)
		}
	}
	return nil
}

// findStray looks up the record of each posting, to find postings without one.
func (v *verifier) findStray() error {
	readTx := func(fn func(*pages.Tx) error) error {
		_, err := v.page(fn) // damage was reported by the walk over the index
		return err
	}
	known := func(p eventstore.Position) (e index.Entry, ok bool) {
		_ = v.store.ReadTx(func(tx *pages.Tx) error {
			r, err := v.record(tx.Bucket(logfile.LogBucket), p)
			e, ok = logfile.IndexEntry(&r), err == nil
			return nil
		})
		return e, ok
	}
	return v.index.Stray(readTx, known, func(p eventstore.Position, problem string) {
		v.add(IndexEntry, p, "%s", problem)
	})
}
