package boltstore

import (
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
)

// The index is checked against the log in both directions. For each record, all
// its postings must be there; that is looked up while the log is walked. Then a
// walk over the index counts the postings that are whole: if there are as many
// as were looked up, none is too many. A stream's postings lie in the order of
// positions, so that walk sees, too, whether versions follow each other. None of
// it needs memory for each stream or key.

// checkThrough checks that there is an index and that it is one of this log.
func (v *verifier) checkThrough() error {
	if v.store.file.badIndex != nil { // its pages have been reported
		v.noIndex = true
		return nil
	}
	damage, err := v.page(func(tx *bolt.Tx) error {
		through, err := index.Through(tx)
		if err != nil {
			return err
		}
		if log := tx.Bucket(logBucket); log != nil {
			key, _ := log.Cursor().Last()
			if last, _ := record.ParseKey(key); last != through {
				v.add(IndexEntry, 0, "the index says that it reaches to position %d, the log ends at position %d", through, last)
			}
		}
		return nil
	})
	if damage != nil {
		v.noIndex = true
		v.add(IndexEntry, 0, "%v", damage)
	}
	return err
}

// checkEntries checks what the index has of a page of records.
func (v *verifier) checkEntries(entries []index.Entry) error {
	if len(entries) == 0 || v.noIndex {
		return nil
	}
	damage, err := v.checkSomeEntries(entries)
	if damage == nil || err != nil {
		return err
	}
	if len(entries) == 1 {
		v.badIndex = true
		v.add(IndexEntry, entries[0].Position, "%v", damage)
		return nil
	}
	for i := range entries { // which are on the page that cannot be read?
		if err := v.checkEntries(entries[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) checkSomeEntries(entries []index.Entry) (damage, err error) {
	var problems []Finding
	found := 0
	note := func(p eventstore.Position, problem string) {
		problems = append(problems, Finding{Kind: IndexEntry, Position: p, Problem: problem})
	}
	damage, err = v.page(func(tx *bolt.Tx) (err error) {
		if found, err = index.Check(tx, entries, note); err != nil {
			return err
		}
		reader, err := index.NewReader(tx, v.result.Head)
		if err != nil {
			return err
		}
		for i := range entries {
			if key := entries[i].Key; key != "" {
				if first := reader.Key(key); first > 0 && first < entries[i].Position {
					problems = append(problems, Finding{Kind: RepeatedKey, Position: entries[i].Position,
						Problem: fmt.Sprintf("the key of its commit is that of the commit at position %d", first)})
				}
			}
		}
		return reader.Err()
	})
	if damage != nil || err != nil {
		return damage, err // what it found before is found again
	}
	for _, problem := range problems {
		v.addFinding(problem)
		v.badIndex = v.badIndex || problem.Kind == IndexEntry
	}
	v.result.Postings += found
	return nil, nil
}

// checkIndex walks the index.
func (v *verifier) checkIndex() error {
	if v.noIndex {
		return nil
	}
	w := &indexWalk{v: v}
	counted := 0
	for {
		var n int
		damage, err := v.page(func(tx *bolt.Tx) (err error) {
			n, err = w.scan(tx)
			return err
		})
		switch {
		case err != nil:
			return err
		case damage != nil:
			v.add(DamagedPage, 0, "the index cannot be read on from key %q: %v", w.from, damage)
			return nil
		}
		counted += n
		if w.from == nil {
			break
		}
	}
	if counted == v.result.Postings && v.damaged == 0 {
		return nil
	}
	return v.findStray()
}

// indexWalk goes over the index.
type indexWalk struct {
	v    *verifier
	from []byte // the key to go on from
}

// scan counts the next postings that are whole.
func (w *indexWalk) scan(tx *bolt.Tx) (count int, err error) {
	through, err := index.Through(tx)
	if err != nil {
		return 0, err
	}
	last := w.v.result.Head
	if through == last { // nothing was appended meanwhile, so there may be none beyond
		last = math.MaxUint64
	}
	log := tx.Bucket(logBucket)
	count, w.from, err = index.Scan(tx, w.from, verifyKeys, last, func(p eventstore.Position, problem string) {
		w.v.add(w.kindOf(tx, log, p), p, "%s", problem)
	})
	return count, err
}

// kindOf returns the kind of a problem that the index has at p. If the index is
// as the log has it, so is the problem.
func (w *indexWalk) kindOf(tx *bolt.Tx, log *bolt.Bucket, p eventstore.Position) FindingKind {
	if w.v.badIndex || log == nil {
		return IndexEntry
	}
	r, err := getRecord(log, p)
	if err != nil {
		return IndexEntry
	}
	kind := BrokenStream
	_, err = index.Check(tx, []index.Entry{indexEntry(&r)}, func(eventstore.Position, string) { kind = IndexEntry })
	if err != nil {
		return IndexEntry
	}
	return kind
}

// findStray looks up the record of each posting, to find those that are too
// many. It takes long, and is not done if there are none.
func (v *verifier) findStray() error {
	var from []byte
	for {
		damage, err := v.page(func(tx *bolt.Tx) (err error) {
			log := tx.Bucket(logBucket)
			if log == nil {
				from = nil
				return nil
			}
			has := func(p eventstore.Position) (index.Entry, bool) {
				r, err := getRecord(log, p)
				return indexEntry(&r), err == nil
			}
			from, err = index.Stray(tx, from, verifyKeys, has, func(p eventstore.Position, problem string) {
				v.add(IndexEntry, p, "%s", problem)
			})
			return err
		})
		if damage != nil { // it has been reported by the walks before
			return err
		}
		if err != nil || from == nil {
			return err
		}
	}
}
