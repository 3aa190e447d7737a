// Package ids makes the ids of events: UUIDs of version 7 (RFC 9562), which sort by
// time.
//
// Package uuid reads the clock and the system's random source for each id. A commit
// has up to thousands of events at one moment, so a [Source] takes the time from its
// caller, and reads random bytes once in hundreds of ids.
package ids

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Source makes ids, each greater than all before. If an id was made for a moment in
// the future, later ids follow it until that moment has come. The zero Source is
// ready to use. A Source is safe for concurrent use by multiple goroutines.
type Source struct {
	mu     sync.Mutex
	last   uint64 // time of the last id, in ticks
	random [256 * 8]byte
	left   []byte // unused random bytes
}

const tickBits = 12 // a tick is 1/4096 of a millisecond

// New returns an id for a moment, or for the first tick after it that is free.
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
