package sample

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// Class is the result of the examination of a file that may be damaged.
type Class string

// The classes.
const (
	Harmless Class = "harmless" // every answer is right, and nothing was found
	Detected Class = "detected" // Open, a call, Verify or the log reports damage, and no call failed
	Failed   Class = "failed"   // a promise is broken
)

// Two more verdicts, of the whole examination.
const (
	Blind  Verdict = "blind"  // calls were refused, and neither Verify nor the log reports damage
	Spread Verdict = "spread" // an append destroyed what was right before, without a report of damage
)

// Outcome is the result of an examination.
type Outcome struct {
	Class  Class
	By     string // what noticed first: open, call, verify, log
	Detail string // what it said
	// Told: Verify or the log reports damage, or Open warns of it. Appended: the file
	// accepted another event. Worse: after that, less could be read.
	Told, Appended, Worse bool

	Calls, Refused int
	Late           int            // stale or partial answers about rows that Verify has found
	Kinds          map[string]int // failing calls by verdict and method
	Failures       []Answer       // some of them: the first of each kind
}

// String describes the outcome.
func (o Outcome) String() string {
	lines := []string{fmt.Sprintf("%s by %s: %.300s", o.Class, o.By, o.Detail)}
	if o.Class == Failed {
		lines = lines[:0]
	}
	for _, a := range o.Failures {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n    ")
}

// Kind returns the first kind of failing calls.
func (o Outcome) Kind() string {
	if len(o.Failures) == 0 {
		return ""
	}
	return o.Failures[0].kind()
}

// kind is the verdict and the method.
func (a Answer) kind() string {
	words := strings.Fields(a.Call)
	method := words[0]
	if method == "Append" && len(words) > 1 { // with which condition
		method = strings.Join(words[:min(3, len(words))], " ")
	}
	return string(a.Verdict) + ": " + method
}

// judge returns the outcome.
func (x *examination) judge() Outcome {
	o := Outcome{Kinds: make(map[string]int), Appended: x.appended}
	o.Told = x.told || len(x.log.lines()) > 0 || x.found(func(boltstore.Finding) bool { return true })
	failed := slices.Clone(x.problems)
	var first *Answer // that was refused
	for i := range x.answers {
		a := &x.answers[i]
		o.Calls++
		switch {
		case a.Verdict == Right:
		case a.Verdict == Refused:
			if o.Refused++; first == nil {
				first = a
			}
		case x.accepts(*a):
			o.Late++
		default:
			failed = append(failed, *a)
		}
	}
	o.Worse = x.worse()
	switch {
	case first != nil && !o.Told:
		blind := *first
		blind.Verdict, blind.Got, blind.Want = Blind, first.err.Error(), "a finding of Verify"
		failed = append(failed, blind)
	case o.Worse && !o.Told:
		failed = append(failed, Answer{Call: "Append", Time: "first", Verdict: Spread, Got: x.lost(), Want: "no less than before"})
	}
	o.fail(failed)
	x.name(&o, first)
	return o
}

// fail counts the failing calls, and keeps the first of each kind.
func (o *Outcome) fail(failed []Answer) {
	for _, a := range failed {
		kind := a.kind()
		if o.Kinds[kind]++; o.Kinds[kind] == 1 {
			o.Failures = append(o.Failures, a)
		}
	}
}

// name sets the class of the outcome and what noticed.
func (x *examination) name(o *Outcome, first *Answer) {
	o.Class = Detected
	switch {
	case len(o.Failures) > 0:
		o.Class, o.By, o.Detail = Failed, o.Kind(), o.Failures[0].String()
	case x.opening != nil:
		o.By, o.Detail = "open", x.opening.Error()
	case first != nil:
		o.By, o.Detail = "call", first.Call+": "+first.err.Error()
	case x.found(func(f boltstore.Finding) bool { o.Detail = f.String(); return true }):
		o.By = "verify"
	case len(x.log.lines()) > 0:
		o.By, o.Detail = "log", x.log.lines()[0]
	default:
		o.Class = Harmless
	}
}

// accepts reports whether Verify tells of rows that are not the latest.
func (x *examination) accepts(a Answer) bool {
	reopened := a.Time == "reopened" && x.appended // what was appended may have changed stale rows
	if a.part != rows || a.Verdict != Stale && a.Verdict != Partial && (a.Verdict != Wrong || !reopened) {
		return false
	}
	return x.found(func(f boltstore.Finding) bool { return concernsRows(f, a.view) })
}

// concernsRows reports whether a finding says that rows of a view may be wrong.
func concernsRows(f boltstore.Finding, view eventstore.ViewID) bool {
	switch f.Kind {
	case boltstore.DamagedRow, boltstore.MissingRow, boltstore.StrayRow, boltstore.DamagedCheckpoint,
		boltstore.DamagedPage, boltstore.MetaPage, boltstore.StrayBucket:
		return f.View == "" || f.View == view
	}
	return false
}

// found reports whether a Verify has such a finding.
func (x *examination) found(such func(boltstore.Finding) bool) bool {
	for _, v := range x.verified {
		if slices.ContainsFunc(v.Findings, such) {
			return true
		}
	}
	return false
}

// worse reports whether fewer events and rows are intact after an append.
func (x *examination) worse() bool { return x.lost() != "" }

func (x *examination) lost() string {
	if len(x.verified) < 3 {
		return ""
	}
	before, after := x.verified[0], x.verified[2]
	want := before.Events
	if x.appended {
		want++
	}
	if after.Events >= want && after.Rows >= before.Rows+x.applied {
		return ""
	}
	return fmt.Sprintf("%d events and %d rows were whole, after an append %d and %d are", before.Events, before.Rows, after.Events, after.Rows)
}
