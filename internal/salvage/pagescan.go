package salvage

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"iter"
	"os"
	"slices"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// remains is what there is of a damaged file. It is read by itself, without
// bbolt, which trusts what it reads.
type remains struct {
	ctx      context.Context // of the call that it lives for
	file     *os.File
	size     int64
	tree     bool // a meta page is whole
	certain  bool // both are, so that the newer is the newest there was
	meta     pages.Meta
	pageSize int
	seed     maphash.Seed
}

func newRemains(ctx context.Context, file *os.File) (*remains, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	m := &remains{ctx: ctx, file: file, size: info.Size(), seed: maphash.MakeSeed()}
	state, err := pages.Inspect(file, m.size) // which also says what it can of a file that was cut short
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

// likelyPageSize returns the size of pages with which most records are found at
// the beginning of the file.
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
			for range wholeRecords(e.Key, e.Value) {
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

// walk visits the records that the file's tree leads to, by position. It reports
// whether the last of them is the last there was.
func (m *remains) walk(visit func(r *record.Record, raw []byte) error) (end bool, err error) {
	if !m.tree {
		return false, nil
	}
	var last eventstore.Position
	return pages.Walk(m.file, m.meta, string(logfile.LogBucket), m.ctx.Err, func(key, value []byte) error {
		for r, raw := range wholeRecords(key, value) {
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

// identity returns what the file says of itself, if it can be found.
func (m *remains) identity() (id uuid.UUID, epoch uint64, ok bool, err error) {
	said := make(map[string][]byte)
	collect := func(key, value []byte) {
		said[string(key)] = slices.Clone(value)
	}
	whole := func() bool {
		format, sum := said[string(logfile.FormatKey)], said[string(logfile.SumKey)]
		id, epoch := said[string(logfile.IdKey)], said[string(logfile.EpochKey)]
		return len(id) == 16 && len(epoch) == 8 && slices.Equal(sum, logfile.InfoSum(format, id, epoch))
	}
	if m.tree {
		_, err = pages.Walk(m.file, m.meta, string(logfile.StoreBucket), m.ctx.Err, func(key, value []byte) error {
			collect(key, value)
			return nil
		})
	}
	if err == nil && !whole() {
		err = pages.Scan(m.file, m.size, m.pageSize, m.ctx.Err, func(e pages.Element) (bool, error) {
			if e.Bucket == string(logfile.StoreBucket) && !whole() {
				collect(e.Key, e.Value)
			}
			return false, nil
		})
	}
	if err != nil || !whole() {
		return uuid.Nil, 0, false, err
	}
	return uuid.UUID(said[string(logfile.IdKey)]), binary.BigEndian.Uint64(said[string(logfile.EpochKey)]), true, nil
}

// candidate is a record that was found by looking at every page.
type candidate struct {
	position eventstore.Position
	offset   int64 // in the file
	size     int
	sum      uint64 // of its bytes
}

// maxCandidates is how many are kept in memory; for more, the file is scanned
// again.
const maxCandidates = 1 << 20

// scan returns the records in the file at positions that are wanted, by
// position, each that is different once; and the position before which these are
// all there are, 0 if there are no others.
func (m *remains) scan(wanted func(eventstore.Position) bool) (found []candidate, before eventstore.Position, err error) {
	err = pages.Scan(m.file, m.size, m.pageSize, m.ctx.Err, func(e pages.Element) (bool, error) {
		v, _ := logfile.ParseValue(e.Key, e.Value) // of no records, if it cannot be read
		whole := v.Last > 0
		for p, raw := range v.All() {
			if _, err := record.Decode(p, raw); err != nil {
				whole = false // there may be other pages in its place by now
				continue
			}
			if (before == 0 || p < before) && wanted(p) {
				offset := e.Offset + int64(cap(e.Value)-cap(raw)) // raw is a part of the value
				found = append(found, candidate{p, offset, len(raw), maphash.Bytes(m.seed, raw)})
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

// distinct sorts candidates by position, and drops those that are there twice.
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

// lowest cuts a sorted list to about n, between positions, and returns the first
// position that is cut off.
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
	r, err := record.Decode(c.position, raw)
	return r, raw, err
}

// wholeRecords yields the records of an element of a leaf that are whole, with
// their bytes, which are parts of value. A record's checksum covers its position too,
// so no other bytes are taken for one.
func wholeRecords(key, value []byte) iter.Seq2[record.Record, []byte] {
	return func(yield func(record.Record, []byte) bool) {
		v, _ := logfile.ParseValue(key, value) // of no records, if it cannot be read
		for p, raw := range v.All() {
			if r, err := record.Decode(p, raw); err == nil && !yield(r, raw) {
				return
			}
		}
	}
}
