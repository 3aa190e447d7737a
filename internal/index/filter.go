package index

import "encoding/binary"

// A filter tells of most terms that a run does not have that it does not have
// them, so that they need not be looked for: all runs have to be asked for a
// stream that is new. It is a Bloom filter in lines of 64 bytes: a term sets six
// bits of one line. It never says no to a term that the run has, and wrongly says
// yes to about one in fifty.
type filter []byte

const (
	filterLine = 64 // bytes
	filterBits = 6  // of a term
	termBits   = 10 // bits of the filter for each term
)

// newFilter returns a filter with room for so many terms.
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
		bit := bits >> 55 // 9 bits, 512 to choose from
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

// A filter lies in the bucket in parts, behind its run's blocks: no term begins
// with the byte that their keys have behind the run's number.

const (
	filterPart = 32 << 10 // bytes
	filterMark = 0xff
)

func filterKey(run uint64, part int) []byte {
	return binary.BigEndian.AppendUint32(append(runKey(run), filterMark), uint32(part))
}

// emit puts out the filter's parts.
func (f filter) emit(run uint64, emit func(key, value []byte) error) error {
	for part := 0; part*filterPart < len(f); part++ {
		key := filterKey(run, part)
		value := append([]byte(nil), f[part*filterPart:min(len(f), (part+1)*filterPart)]...)
		if err := emit(key, appendSum(key, value)); err != nil {
			return err
		}
	}
	return nil
}
