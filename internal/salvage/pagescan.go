package salvage

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"os"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// remains is a damaged file.
type remains struct {
	ctx      context.Context // of the call of Run
	file     *os.File
	size     int64
	tree     bool // at least one meta page is whole
	certain  bool // both meta pages are whole, so the newer one is of the last transaction
	meta     pages.Meta
	pageSize int
	seed     record.Seed // of the records; see identify
	older    error       // of a file whose description says an older format
	hash     maphash.Seed
}

func newRemains(ctx context.Context, file *os.File) (*remains, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	m := &remains{ctx: ctx, file: file, size: info.Size(), hash: maphash.MakeSeed()}
	state, err := pages.Inspect(file, m.size) // the state is valid as far as possible also with these errors
	if err != nil && !errors.Is(err, pages.ErrForeign) && !errors.Is(err, pages.ErrDamaged) {
		return nil, err
	}
	m.meta, m.tree = state.Meta, state.PageSize > 0
	m.certain = m.tree && state.Damaged == ""
	m.pageSize = int(state.PageSize)
	if !m.tree {
		m.pageSize, err = m.likelyPageSize()
		return m, err
	}
	return m, nil
}

// likelyPageSize returns the page size with which a scan of the beginning of the file finds
// the most records.
func (m *remains) likelyPageSize() (likely int, err error) {
	const probe = 16 << 20 // bytes
	most := -1
	for _, size := range pages.PageSizes() {
		if size != pages.PageSizes()[0] && int64(size) > m.size {
			continue
		}
		found := 0
		err := pages.Scan(m.file, min(m.size, probe), size, m.ctx.Err, func(e pages.Element) (bool, error) {
			before := found
			for range seeds(e.Key, e.Value) {
				found++
			}
			return found > before, nil
		})
		if err != nil {
			return 0, err
		}
		if found > most {
			likely, most = size, found
		}
	}
	return likely, nil
}

// walk calls visit with the records that the file's tree leads to, by position. It reports
// whether the walk reached the end of the log.
func (m *remains) walk(visit func(r *record.Record, raw []byte) error) (end bool, err error) {
	if !m.tree {
		return false, nil
	}
	var last eventstore.Position
	return pages.Walk(m.file, m.meta, string(logfile.LogBucket), m.ctx.Err, func(key, value []byte) error {
		for r, raw := range m.wholeRecords(key, value) {
			if r.Event.Position <= last {
				continue
			}
			last = r.Event.Position
			if err := visit(&r, raw); err != nil {
				return err
			}
		}
		return nil
	})
}

// identity returns the identity of the file; ok is false if it was not found. head is the
// value of the head in the description to which the meta page leads, nil if there is none.
func (m *remains) identity() (identity logfile.Identity, head []byte, ok bool, err error) {
	said := make(map[string][]byte)
	get := func(key string) []byte { return said[key] }
	if m.tree {
		_, err = pages.Walk(m.file, m.meta, string(logfile.StoreBucket), m.ctx.Err, func(key, value []byte) error {
			said[string(key)] = slices.Clone(value)
			return nil
		})
	}
	head, m.older = said[logfile.HeadKey], logfile.OlderFormat(get)
	if identity, ok = logfile.ParseIdentity(get); ok || err != nil {
		return identity, head, ok, err
	}
	err = pages.Scan(m.file, m.size, m.pageSize, m.ctx.Err, func(e pages.Element) (bool, error) {
		if _, whole := logfile.ParseIdentity(get); e.Bucket == string(logfile.StoreBucket) && !whole {
			said[string(e.Key)] = slices.Clone(e.Value)
		}
		return false, nil
	})
	identity, ok = logfile.ParseIdentity(get)
	return identity, head, ok, err
}

// candidate is a record that was found by a scan of every page.
type candidate struct {
	position eventstore.Position
	offset   int64 // in the file
	size     int
	sum      uint64 // of its bytes
}

// maxCandidates is how many candidates a scan keeps in memory. If there are more, the file
// is scanned again for the rest.
const maxCandidates = 1 << 20

// scan returns the distinct records in the file at wanted positions, by position. They are
// all with positions less than before, or all if before is 0.
func (m *remains) scan(wanted func(eventstore.Position) bool) (found []candidate, before eventstore.Position, err error) {
	err = pages.Scan(m.file, m.size, m.pageSize, m.ctx.Err, func(e pages.Element) (bool, error) {
		v, _ := logfile.ParseValue(e.Key, e.Value) // has no records if it cannot be parsed
		whole := v.Last > 0
		for p, raw := range v.All() {
			if _, err := record.Decode(m.seed, p, raw); err != nil {
				whole = false // its pages may be used otherwise by now
				continue
			}
			if (before == 0 || p < before) && wanted(p) {
				offset := e.Offset + int64(cap(e.Value)-cap(raw)) // raw is a part of the value
				found = append(found, candidate{p, offset, len(raw), maphash.Bytes(m.hash, raw)})
			}
		}
		if len(found) >= 2*maxCandidates {
			if found = distinct(found); len(found) > maxCandidates {
				found, before = lowest(found, maxCandidates)
			}
		}
		return whole, nil
	})
	return distinct(found), before, err
}

// distinct sorts candidates by position and removes repeated ones.
func distinct(list []candidate) []candidate {
	slices.SortFunc(list, func(a, b candidate) int {
		switch {
		case a.position != b.position && a.position < b.position:
			return -1
		case a.position != b.position:
			return 1
		case a.sum != b.sum && a.sum < b.sum:
			return -1
		case a.sum != b.sum:
			return 1
		}
		return int(min(1, max(-1, a.offset-b.offset)))
	})
	return slices.CompactFunc(list, func(a, b candidate) bool {
		return a.position == b.position && a.sum == b.sum && a.size == b.size
	})
}

// lowest cuts a sorted list to about n candidates, between two positions, and returns the
// first position that is cut off.
func lowest(list []candidate, n int) ([]candidate, eventstore.Position) {
	before := list[n].position
	for n > 0 && list[n-1].position == before {
		n--
	}
	return list[:n], before
}

// read returns a candidate's record.
func (m *remains) read(c candidate) (record.Record, []byte, error) {
	raw := make([]byte, c.size)
	if _, err := m.file.ReadAt(raw, c.offset); err != nil {
		return record.Record{}, nil, err
	}
	r, err := record.Decode(m.seed, c.position, raw)
	return r, raw, err
}

// wholeRecords yields the whole records of an element of a leaf, with their bytes, which are
// parts of value. The checksum of a record covers its position, so no other bytes are taken
// for a record.
func (m *remains) wholeRecords(key, value []byte) iter.Seq2[record.Record, []byte] {
	return func(yield func(record.Record, []byte) bool) {
		v, _ := logfile.ParseValue(key, value) // has no records if it cannot be parsed
		for p, raw := range v.All() {
			if r, err := record.Decode(m.seed, p, raw); err == nil && !yield(r, raw) {
				return
			}
		}
	}
}

// seeds yields the seeds of the whole records of an element of a leaf, whatever store they
// are of.
func seeds(key, value []byte) iter.Seq[record.Seed] {
	return func(yield func(record.Seed) bool) {
		v, _ := logfile.ParseValue(key, value) // has no records if it cannot be parsed
		for p, raw := range v.All() {
			if seed, ok := record.FindSeed(p, raw); ok && !yield(seed) {
				return
			}
		}
	}
}

// maxSeeds bounds the different seeds that are counted.
const maxSeeds = 1 << 16

// likelySeed returns the seed with which most whole records of the file were sealed. Without
// any record, it returns the zero seed.
func (m *remains) likelySeed() (likely record.Seed, err error) {
	count := make(map[record.Seed]int)
	err = pages.Scan(m.file, m.size, m.pageSize, m.ctx.Err, func(e pages.Element) (isRecord bool, err error) {
		for seed := range seeds(e.Key, e.Value) {
			if isRecord = true; count[seed] > 0 || len(count) < maxSeeds {
				count[seed]++
			}
		}
		return isRecord, nil
	})
	for seed, n := range count {
		if most := count[likely]; n > most || n == most && seed < likely {
			likely = seed
		}
	}
	return likely, err
}
