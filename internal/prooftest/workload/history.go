package workload

import (
	"fmt"
	"maps"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// The marks, one a line: what a workload begins, and the outcome.
//
//	opening, opened, closed         the store
//	begin ID                        Append was called
//	acked ID FIRST LAST             it returned this receipt
//	failed ID                       it returned an error: nothing was appended
//	unknown ID                      it returned ErrUnknownOutcome
//	seen POSITION                   a reader got this event
//	rows VIEW POSITION              CommitRows was acknowledged, or the checkpoint read
//	attached VIEW                   the view is inline, until closed
//	drop VIEW                       DropRows was called
//	dropped VIEW                    all of it was acknowledged
//	building VERSION                a build of a version of the projection has begun
//	live VERSION                    the version is live
//	index dropped                   the index was deleted
//	replacing                       the file is replaced by one without views

// History is the knowledge of a log after some marks. [Replay] makes one.
type History struct {
	Opened         bool                       // the log exists
	Floor          eventstore.Position        // the highest position that was acknowledged or seen
	Acked          map[eventstore.Position]ID // by first position
	last           map[ID]eventstore.Position // of each acknowledged commit
	InFlight       map[ID]bool                // may be there or not
	Rows           map[eventstore.ViewID]span // the possible checkpoint
	Inline         map[eventstore.ViewID]bool // at the head
	building, live uint32                     // versions of the projection
	gone           bool                       // or no version is live
}

// span is the possible checkpoint of a view: at a position or after it, or, if gone
// is set, none.
type span struct {
	from eventstore.Position
	gone bool
}

func newHistory() *History {
	return &History{
		Acked: make(map[eventstore.Position]ID), last: make(map[ID]eventstore.Position), InFlight: make(map[ID]bool),
		Rows: make(map[eventstore.ViewID]span), Inline: make(map[eventstore.ViewID]bool),
	}
}

// Replay returns the history after marks.
func Replay(marks []string) (*History, error) {
	h := newHistory()
	for _, mark := range marks {
		if err := h.add(mark); err != nil {
			return nil, fmt.Errorf("mark %q: %w", mark, err)
		}
	}
	return h, nil
}

func (h *History) add(mark string) error {
	verb, rest, _ := strings.Cut(mark, " ")
	switch verb {
	case "opening", "index":
	case "opened":
		h.Opened = true
	case "closed":
		clear(h.Inline)
	case "begin", "failed", "unknown", "acked":
		return h.addCommit(verb, strings.Fields(rest))
	case "attached":
		h.Inline[eventstore.ViewID(rest)] = true
	case "seen":
		var at eventstore.Position
		if _, err := fmt.Sscan(rest, &at); err != nil {
			return err
		}
		h.Floor = max(h.Floor, at)
	case "rows":
		var view string
		var at eventstore.Position
		if _, err := fmt.Sscan(rest, &view, &at); err != nil {
			return err
		}
		known := h.Rows[eventstore.ViewID(view)]
		h.Rows[eventstore.ViewID(view)] = span{from: max(at, known.from)}
	case "drop":
		view := eventstore.ViewID(rest)
		h.Rows[view] = span{from: h.Rows[view].from, gone: true}
	case "dropped":
		delete(h.Rows, eventstore.ViewID(rest))
	case "replacing":
		for _, view := range []eventstore.ViewID{Async, Inline} {
			h.Rows[view] = span{from: h.Rows[view].from, gone: true}
		}
		h.gone = true
	case "building":
		_, err := fmt.Sscan(rest, &h.building)
		return err
	case "live":
		h.gone = false
		_, err := fmt.Sscan(rest, &h.live)
		return err
	default:
		return fmt.Errorf("no such mark")
	}
	return nil
}

func (h *History) addCommit(verb string, fields []string) error {
	if len(fields) == 0 {
		return fmt.Errorf("no commit")
	}
	id, err := ParseID(fields[0])
	if err != nil {
		return err
	}
	delete(h.InFlight, id)
	switch verb {
	case "begin", "unknown":
		h.InFlight[id] = true
	case "acked":
		var first, last eventstore.Position
		if _, err := fmt.Sscan(strings.Join(fields[1:], " "), &first, &last); err != nil {
			return err
		}
		h.Acked[first], h.last[id] = id, last
		h.Floor = max(h.Floor, last)
	}
	return nil
}

// clone returns a copy that is not changed with h.
func (h *History) clone() *History {
	c := *h
	c.Acked, c.last, c.InFlight = maps.Clone(h.Acked), maps.Clone(h.last), maps.Clone(h.InFlight)
	c.Rows, c.Inline = maps.Clone(h.Rows), maps.Clone(h.Inline)
	return &c
}

// Exploration returns the options for exploring the trace of a workload.
func Exploration(seed uint64, budget int) simfs.ExploreOptions {
	return simfs.ExploreOptions{Seed: seed, Budget: budget, Repeats: repeats}
}

// repeats reports whether more is expected after a mark, so that an image that was
// checked before is checked again.
func repeats(mark string) bool {
	switch verb, _, _ := strings.Cut(mark, " "); verb {
	case "begin", "opening", "building", "drop", "closed", "index", "unknown", "replacing":
		return false
	default:
		return true
	}
}
