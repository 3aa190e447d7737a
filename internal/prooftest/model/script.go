package model

import (
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// step is one step, done to both stores. It is complete in itself, so that a script
// can be kept, run again, and shortened by leaving out steps.
type step struct {
	Do string `json:"do"`

	Commit   *commit                 `json:"commit,omitempty"`
	Key      string                  `json:"key,omitempty"`
	Query    query                   `json:"query,omitzero"`
	Read     *eventstore.ReadOptions `json:"read,omitempty"`
	After    eventstore.Position     `json:"after,omitempty"`
	Number   int                     `json:"number,omitempty"` // of a follower; of events to read; of rows to drop
	View     eventstore.ViewID       `json:"view,omitempty"`
	Rows     *eventstore.RowCommit   `json:"rows,omitempty"`
	RowKeys  []eventstore.RowKey     `json:"row_keys,omitempty"`
	RowScan  *eventstore.RowScan     `json:"row_scan,omitempty"`
	Recorded time.Time               `json:"recorded,omitzero"` // the clock's time
	IDs      uint64                  `json:"ids,omitempty"`     // the beginning of the ids that are made in this step
}

// The kinds of steps.
const (
	doAppend      = "append"
	doLookup      = "lookup"
	doRead        = "read"
	doHead        = "head"
	doInfo        = "info"
	doFollow      = "follow"       // up to the head, and leave
	doBegin       = "begin follow" // and stay
	doGoOn        = "go on follow" // up to the head, and stay
	doCommitRows  = "commit rows"
	doGetRows     = "get rows"
	doScanRows    = "scan rows"
	doDropRows    = "drop rows"
	doCheckpoints = "checkpoints"
	doAttach      = "attach"
	doReopen      = "reopen"
	doCloseInRead = "close in read" // close within a loop over Read, finish the loop, open again
	doCallClosed  = "call closed"   // close, try a few calls, open again
	doVerify      = "verify"
	doCompact     = "compact"
	doRebuild     = "rebuild" // with a number: keep the views
	doBackup      = "backup"  // with a number: a full one, otherwise one that continues those before
	doRestore     = "restore" // the backups
	doSalvage     = "salvage" // the undamaged log, into a new file
	doImport      = "import"  // the exported log, into a new file; with a number: first only that many lines
)

// commit is an [eventstore.Commit] that can be kept.
type commit struct {
	Key    string                `json:"key,omitempty"`
	Events []eventstore.NewEvent `json:"events,omitempty"`
	Expect []eventstore.Expect   `json:"expect,omitempty"`
	Guards []guard               `json:"guards,omitempty"`
}

type guard struct {
	Query query               `json:"query"`
	After eventstore.Position `json:"after"`
}

// query is an [eventstore.Query] that can be kept; the zero query is the invalid one.
type query struct {
	All   bool              `json:"all,omitempty"`
	Items []eventstore.Item `json:"items,omitempty"`
}

func (q query) toStore() eventstore.Query {
	switch {
	case q.All:
		return eventstore.All()
	case len(q.Items) == 0:
		return eventstore.Query{}
	default:
		return eventstore.Match(q.Items...)
	}
}

func (c *commit) toStore() eventstore.Commit {
	out := eventstore.Commit{Key: c.Key, Events: c.Events, Expect: c.Expect}
	for _, g := range c.Guards {
		out.Guards = append(out.Guards, eventstore.Guard{Query: g.Query.toStore(), After: g.After})
	}
	return out
}

// String formats the step in a line.
func (s step) String() string {
	text := s.Do
	if c := s.Commit; c != nil {
		text += fmt.Sprintf(" %d events", len(c.Events))
		if len(c.Events) < 5 {
			for _, e := range c.Events {
				text += fmt.Sprintf(" {%q %s %q %d bytes}", e.Stream, e.Type, e.Tags, len(e.Data))
			}
		}
		text += fmt.Sprintf(" key %.20q expecting %v guarded by %v", c.Key, c.Expect, c.Guards)
	}
	if s.Rows != nil {
		text += fmt.Sprintf(" of view %q: %d rows from %v to %v", s.Rows.View, len(s.Rows.Rows), s.Rows.Expected, s.Rows.Checkpoint)
	}
	for _, part := range []struct {
		name  string
		value any
		there bool
	}{
		{"key", s.Key, s.Key != ""}, {"view", s.View, s.View != ""}, {"query", s.Query.toStore(), s.Do == doRead || s.Do == doFollow || s.Do == doBegin},
		{"options", s.Read, s.Read != nil}, {"after", s.After, s.After > 0}, {"number", s.Number, s.Number > 0},
		{"keys", s.RowKeys, len(s.RowKeys) > 0}, {"scan", s.RowScan, s.RowScan != nil},
	} {
		if part.there {
			text += fmt.Sprintf(" %s %+v", part.name, part.value)
		}
	}
	return text
}
