package index

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// A Sorter makes the index of a whole log at once. [Add] puts each posting where
// it belongs, which costs more the larger the index is, for each slice of a log
// touches nearly all pages of a large one. A Sorter takes all entries first and
// then writes the postings in the order of their keys, so that each page is
// written once, and full.
//
// It is a merge sort. The postings of as many entries as memory has room for
// are a run; a run is sorted by term and written to a scratch file; in the end all
// runs are read side by side. Entries come in the order of positions, so a
// term's postings are in order in each run, and all those of an earlier run come
// before those of a later one: only terms are ever compared.
//
// A Sorter is not safe for concurrent use.
type Sorter struct {
	// Gaps lets the versions of a stream have gaps. They must increase all the same.
	Gaps bool

	scratch string // the scratch file's name, without what makes it its own
	memory  int
	file    *os.File
	name    string // of file, if it has one still
	spilled []run
	marks   map[string]*[]mark // the postings of the run to come, by term
	used    int                // bytes of them in memory, about
	last    eventstore.Position
}

// run says where in the scratch file a run is.
type run struct {
	start, size int64
	sum         uint32 // CRC32C of its bytes
}

// mark is a posting without its term.
type mark struct {
	position eventstore.Position
	version  eventstore.Version // only of a stream's
}

const (
	transactionBytes = 8 << 20  // of postings written in one transaction
	markBytes        = 16       // of memory for a posting
	termBytes        = 96       // of memory for a term of its own, its name apart
	runBuffer        = 64 << 10 // of memory for each run that is read
	bulkFill         = 0.9      // postings will come between those written here
)

// NewSorter returns a Sorter that has in memory at most so many bytes of
// postings, about, and puts the others into a file of its own: scratch, a dash
// and a number. The caller must Close it.
func NewSorter(scratch string, memory int) *Sorter {
	return &Sorter{scratch: scratch, memory: memory, marks: make(map[string]*[]mark)}
}

// Add takes the event that comes next in the log.
func (s *Sorter) Add(e Entry) error {
	for _, p := range appendPostings(nil, &e) {
		term := p.key[:len(p.key)-8]
		marks := s.marks[string(term)]
		if marks == nil {
			marks = new([]mark)
			s.marks[string(term)] = marks
			s.used += len(term) + termBytes
		}
		m := mark{position: e.Position}
		if term[0] == kindStream {
			m.version = e.Version
		}
		*marks = append(*marks, m)
		s.used += markBytes
	}
	s.last = e.Position
	if s.used > s.memory {
		return s.spill()
	}
	return nil
}

// Load writes the index of all entries, by a number of transactions: update runs
// what it is given in one. There must be an empty index. Until Load has returned
// nil, the index says that it reaches to position 0. Versions of a stream that do
// not follow each other, and a key of two commits, are a
// [*eventstore.CorruptError].
func (s *Sorter) Load(update func(func(*bolt.Tx) error) error) error {
	merge, err := s.merge()
	if err != nil {
		return err
	}
	l := loader{merge: merge, gaps: s.Gaps}
	for !l.done {
		if err := update(l.slice); err != nil {
			return err
		}
	}
	return update(func(tx *bolt.Tx) error {
		return setThrough(tx.Bucket([]byte(Bucket)), s.last)
	})
}

// Close removes the scratch file. It may be called more than once.
func (s *Sorter) Close() (err error) {
	if s.file != nil {
		err = s.file.Close()
		s.file = nil
	}
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
		s.name = ""
	}
	return err
}

// spill writes the run to the scratch file: for each term, in order, the term
// with its length, the number of its postings, and each posting as what it is
// more than the one before.
func (s *Sorter) spill() error {
	if s.file == nil {
		if err := s.openScratch(); err != nil {
			return err
		}
	}
	var r run
	if n := len(s.spilled); n > 0 {
		r.start = s.spilled[n-1].start + s.spilled[n-1].size
	}
	w := bufio.NewWriterSize(s.file, runBuffer)
	var b []byte
	for _, term := range slices.Sorted(maps.Keys(s.marks)) {
		b = appendMarks(b[:0], term, *s.marks[term])
		if _, err := w.Write(b); err != nil {
			return err
		}
		r.size += int64(len(b))
		r.sum = crc32.Update(r.sum, castagnoli, b)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.spilled = append(s.spilled, r)
	clear(s.marks)
	s.used = 0
	return nil
}

// openScratch makes the scratch file. Where a file that is open can lose its
// name, it does, and is gone whatever happens.
func (s *Sorter) openScratch() (err error) {
	s.file, err = os.CreateTemp(filepath.Dir(s.scratch), filepath.Base(s.scratch)+"-*")
	if err != nil {
		return err
	}
	if os.Remove(s.file.Name()) != nil {
		s.name = s.file.Name()
	}
	return nil
}

func appendMarks(b []byte, term string, marks []mark) []byte {
	b = binary.AppendUvarint(b, uint64(len(term)))
	b = append(b, term...)
	b = binary.AppendUvarint(b, uint64(len(marks)))
	var before mark
	for _, m := range marks {
		b = binary.AppendUvarint(b, uint64(m.position-before.position))
		if term[0] == kindStream {
			b = binary.AppendVarint(b, int64(m.version-before.version))
		}
		before = m
	}
	return b
}

// loader writes postings in the order of their keys.
type loader struct {
	merge *merge
	gaps  bool
	key   []byte              // of the last posting's term, with room for the position
	head  eventstore.Version  // its version
	first eventstore.Position // the position of the term's first posting
	done  bool
}

// slice writes as many postings as one transaction is to have.
func (l *loader) slice(tx *bolt.Tx) error {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return fmt.Errorf("%w: there is none", ErrUnusable)
	}
	b.FillPercent = bulkFill
	for written := 0; written < transactionBytes; {
		term, m, err := l.merge.next()
		if errors.Is(err, io.EOF) {
			l.done = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.follows(term, m); err != nil {
			return err
		}
		var value []byte
		if term[0] == kindStream {
			value = binary.BigEndian.AppendUint64(nil, uint64(m.version))
		}
		key := binary.BigEndian.AppendUint64(l.key, uint64(m.position))
		if err := b.Put(key, seal(key, value)); err != nil {
			return err
		}
		written += len(key) + len(value) + sumSize
	}
	return nil
}

// follows holds the posting to what may come behind the one before.
func (l *loader) follows(term []byte, m mark) error {
	if !bytes.Equal(term, l.key) {
		l.key, l.head, l.first = append(l.key[:0], term...), 0, m.position
	} else if term[0] == kindKey {
		return &eventstore.CorruptError{Position: m.position,
			Reason: fmt.Sprintf("key %q is that of the commit at position %d too", term[1:len(term)-1], l.first)}
	}
	if term[0] != kindStream {
		return nil
	}
	if m.version <= l.head || m.version != l.head+1 && !l.gaps {
		return &eventstore.CorruptError{Position: m.position,
			Reason: fmt.Sprintf("version %d of stream %q, where version %d comes next", m.version, term[1:len(term)-1], l.head+1)}
	}
	l.head = m.version
	return nil
}
