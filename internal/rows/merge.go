package rows

import (
	"errors"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// merge yields the rows of a buffer and of its base as one scan. The caller holds
// the buffer's mu.
type merge struct {
	buffer *Buffer
	scan   eventstore.RowScan
	yield  func(eventstore.Row, error) bool
	own    []*entry // entries of the buffer, by key, that are not yielded yet
	moment uint64   // of the scan
	count  int      // rows yielded
}

// errLeft ends a merge when the loop was left or is at its limit. It is not an
// error.
var errLeft = errors.New("loop left")

func (m *merge) run(base iter.Seq2[eventstore.Row, error]) error {
	for row, err := range base {
		if err != nil {
			return err
		}
		order := -1 // of the own entry to the base's row
		for order < 0 && len(m.own) > 0 {
			if order = m.compare(m.first().key, row.Key); order > 0 {
				break
			}
			if err := m.emitFirst(); err != nil {
				return err
			}
		}
		if order == 0 {
			continue // the buffer's entry replaces or hides the row
		}
		if err := m.emit(row); err != nil {
			return err
		}
	}
	for len(m.own) > 0 {
		if err := m.emitFirst(); err != nil {
			return err
		}
	}
	return nil
}

// first returns the next entry of the buffer.
func (m *merge) first() *entry {
	if m.scan.Backward {
		return m.own[len(m.own)-1]
	}
	return m.own[0]
}

// emitFirst yields the next entry of the buffer, unless it is a deletion.
func (m *merge) emitFirst() error {
	e := m.first()
	if m.scan.Backward {
		m.own = m.own[:len(m.own)-1]
	} else {
		m.own = m.own[1:]
	}
	value := e.at(m.moment)
	if value == nil {
		return nil
	}
	return m.emit(newRow(m.scan.Table, e.key, value))
}

// emit calls the loop's body, without holding mu.
func (m *merge) emit(row eventstore.Row) error {
	more := m.unlocked(row)
	m.count++
	switch {
	case !more, m.count == m.scan.Limit:
		return errLeft
	case m.buffer.ended:
		return ErrEnded
	}
	return nil
}

func (m *merge) unlocked(row eventstore.Row) bool {
	m.buffer.mu.Unlock()
	defer m.buffer.mu.Lock()
	return m.yield(row, nil)
}

// compare orders keys in the direction of the scan.
func (m *merge) compare(key string, other []byte) int {
	if m.scan.Backward {
		return -compareKeys(key, other)
	}
	return compareKeys(key, other)
}
