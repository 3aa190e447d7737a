package index

import (
	"encoding/binary"

	"github.com/yore-es/yore/internal/record"
)

// A filter is a Bloom filter of a run's terms. It is kept in memory, because a
// search for a new stream asks every run. A term sets six bits of one line of 64
// bytes. The filter has no false negatives and about one false positive in fifty.
type filter []byte

const (
	filterLine = 64 // bytes
	filterBits = 6  // of a term
	termBits   = 10 // bits of the filter for each term
)

// newFilter returns a filter for a number of terms.
func newFilter(terms uint64) filter {
	lines := (terms*termBits + 8*filterLine - 1) / (8 * filterLine)
	return make(filter, max(1, lines)*filterLine)
}

// line returns the term's line, and the number from which its bits are taken.
func (f filter) line(fingerprint uint64) ([]byte, uint64) {
	lines := uint64(len(f) / filterLine)
	at := (fingerprint >> 32) * lines >> 32 * filterLine
	return f[at : at+filterLine], fingerprint * 0x9e3779b97f4a7c15
}

func (f filter) add(fingerprint uint64) {
	line, bits := f.line(fingerprint)
	for range filterBits {
		bit := bits >> 55 // 9 bits: one of 512
		line[bit/8] |= 1 << (bit % 8)
		bits <<= 9
	}
}

func (f filter) has(fingerprint uint64) bool {
	line, bits := f.line(fingerprint)
	for range filterBits {
		bit := bits >> 55
		if line[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
		bits <<= 9
	}
	return true
}

// A filter lies in the bucket in parts, after its run's blocks: their keys have a
// byte after the run's number that no term begins with.

const (
	filterPart = 32 << 10 // bytes
	filterMark = 0xff
)

func filterKey(run uint64, part int) []byte {
	return binary.BigEndian.AppendUint32(append(runKey(run), filterMark), uint32(part))
}

// emit emits the filter's parts.
func (f filter) emit(seed record.Seed, run uint64, emit func(key, value []byte) error) error {
	for part := 0; part*filterPart < len(f); part++ {
		key := filterKey(run, part)
		value := append([]byte(nil), f[part*filterPart:min(len(f), (part+1)*filterPart)]...)
		if err := emit(key, appendSum(seed, key, value)); err != nil {
			return err
		}
	}
	return nil
}
