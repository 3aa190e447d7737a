package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// run is a segment on disk: the sorted postings of a range of positions. It never
// changes.
type run struct {
	seed     record.Seed
	id       uint64 // ascending, never used twice
	level    uint64 // how often its postings were merged
	from     eventstore.Position
	through  eventstore.Position
	terms    uint64 // an upper bound
	postings uint64
	blocks   uint64
	size     uint64 // of the filter, in bytes
	unknown  bool   // some of its events could not be read

	filter atomic.Pointer[filter] // nil: not in memory
}

func runKey(id uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 64), id) }

// mayHave reports whether the run may have the term, according to its filter.
func (r *run) mayHave(fingerprint uint64) bool {
	f := r.filter.Load()
	return f == nil || f.has(fingerprint)
}

// loadFilter reads the run's filter into memory.
func (r *run) loadFilter(b *pages.Tree) error {
	f := make(filter, 0, r.size)
	if err := r.eachFilterPart(b, func(part []byte) { f = append(f, part...) }); err != nil {
		return err
	}
	r.filter.Store(&f)
	return nil
}

// eachFilterPart calls fn for each part of the run's filter.
func (r *run) eachFilterPart(b *pages.Tree, fn func([]byte)) error {
	for part, size := 0, uint64(0); size < r.size; part++ {
		key := filterKey(r.id, part)
		value, ok := unseal(r.seed, key, b.Get(key))
		if size += uint64(len(value)); !ok || len(value) == 0 || size > r.size {
			return fmt.Errorf("%w: the filter of run %d is damaged", ErrUnusable, r.id)
		}
		fn(value)
	}
	return nil
}

// statusKey is the bucket's first key. Its value, the status, is the format, the
// number of the transaction that created the bucket, and the runs of the index. Keys
// of other runs belong to runs that are unfinished or are being deleted.
var statusKey = []byte{0}

const (
	format = 4

	runFields = 9
	maxRuns   = 1 << 16
)

// manifest is the runs of the index, in order. They cover the positions from 1 on
// without gaps.
type manifest []*run

// through returns the last position of the runs.
func (m manifest) through() eventstore.Position {
	if len(m) == 0 {
		return 0
	}
	return m[len(m)-1].through
}

// status returns the manifest as it is stored in the bucket.
func (m manifest) status(seed record.Seed, created uint64) []byte {
	b := binary.BigEndian.AppendUint32(nil, format)
	b = binary.AppendUvarint(b, created)
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, r := range m {
		flags := uint64(0)
		if r.unknown {
			flags = 1
		}
		for _, field := range [runFields]uint64{r.id, r.level, uint64(r.from), uint64(r.through), r.terms, r.postings, r.blocks, r.size, flags} {
			b = binary.AppendUvarint(b, field)
		}
	}
	return appendSum(seed, statusKey, b)
}

// parseManifest parses the status in the bucket. It returns the manifest and the
// number of the transaction that created the bucket.
func parseManifest(seed record.Seed, raw []byte) (m manifest, created uint64, err error) {
	status, ok := unseal(seed, statusKey, raw)
	if !ok || len(status) < 4 {
		return nil, 0, fmt.Errorf("%w: its status is damaged", ErrUnusable)
	}
	if f := binary.BigEndian.Uint32(status); f != format {
		return nil, 0, fmt.Errorf("%w: it has format %d, not %d", ErrUnusable, f, format)
	}
	fields := pieceReader{rest: status[4:]} // to parse uvarints
	created = fields.number()
	n := fields.number()
	if n > maxRuns {
		return nil, 0, fmt.Errorf("%w: its status lists %d runs", ErrUnusable, n)
	}
	for range n {
		r := &run{
			seed: seed, id: fields.number(), level: fields.number(), from: eventstore.Position(fields.number()), through: eventstore.Position(fields.number()),
			terms: fields.number(), postings: fields.number(), blocks: fields.number(), size: fields.number(),
		}
		flags := fields.number()
		r.unknown = flags == 1
		if flags > 1 || r.from != m.through()+1 || r.through < r.from || r.through > maxPosition ||
			r.size == 0 || r.size%filterLine != 0 || r.size > maxFilter {
			return nil, 0, fmt.Errorf("%w: its status is malformed", ErrUnusable)
		}
		m = append(m, r)
	}
	if fields.broken || len(fields.rest) > 0 {
		return nil, 0, fmt.Errorf("%w: its status is malformed", ErrUnusable)
	}
	return m, created, nil
}

// The greatest position, and the largest filter in bytes.
const (
	maxPosition = 1 << 62
	maxFilter   = 1 << 40
)

// find returns the run with a number, or nil.
func (m manifest) find(id uint64) *run {
	for _, r := range m {
		if r.id == id {
			return r
		}
	}
	return nil
}

// adopt replaces runs of the manifest by those in known, which may have more in
// memory.
func (m manifest) adopt(known manifest) manifest {
	for i, r := range m {
		if same := known.find(r.id); same != nil {
			m[i] = same
		}
	}
	return m
}

// blockOf returns the block of the run that covers the place, and false if that is
// damaged.
func (r *run) blockOf(c *pages.Cursor, place []byte) (block, bool) {
	want := append(runKey(r.id), place...)
	key, sealed := c.Seek(want)
	if !bytes.Equal(key, want) {
		key, sealed = c.Prev()
	}
	found, ok := r.openBlock(key, sealed)
	return found, ok && found.covers(place)
}
