// Package ids makes the ids of events: UUIDs of version 7 (RFC 9562), which order by
// the time at which they were made.
//
// Package uuid makes them one by one, and asks the system for the time and for random
// bytes each time. A commit has up to thousands of events at one moment; a [Source]
// asks for the time not at all, and for random bytes once in hundreds of ids.
package ids

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Source makes ids. Each is greater than all that it made before: after a moment
// that lies in the future, ids follow that one until it has come. The zero Source is
// ready to use, by multiple goroutines.
type Source struct {
	mu     sync.Mutex
	last   uint64 // time of the last one, in ticks
	random [256 * 8]byte
	left   []byte // of random
}

const tickBits = 12 // a tick is a millisecond's 4096th part

// New returns an id of a moment, or of as soon after it as there is one.
func (s *Source) New(now time.Time) (id uuid.UUID, err error) {
	const ms = uint64(time.Millisecond)
	ns := uint64(max(0, now.UnixNano()))
	tick := ns/ms<<tickBits | ns%ms<<tickBits/ms

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		if _, err := rand.Read(s.random[:]); err != nil {
			return uuid.Nil, fmt.Errorf("random bytes: %w", err)
		}
		s.left = s.random[:]
	}
	copy(id[8:], s.left)
	s.left = s.left[8:]
	s.last = max(tick, s.last+1)

	binary.BigEndian.PutUint64(id[:8], s.last>>tickBits<<16|7<<12|s.last&(1<<tickBits-1))
	id[8] = id[8]&0x3f | 0x80 // the variant
	return id, nil
}
