package linear

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is how long the search for an order may take. If there is an order, the
// search takes milliseconds.
const patience = time.Minute

// judge returns an error if no order explains the history.
func judge(history []operation) error {
	operations := make([]porcupine.Operation, len(history))
	for i, o := range history {
		operations[i] = porcupine.Operation{ClientId: o.Client, Input: o.Call, Call: o.Begin, Output: o.Answer, Return: o.End}
	}
	switch porcupine.CheckOperationsTimeout(newModel(), operations, patience) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("the search for an order of the calls did not end within %v: %d calls", patience, len(history))
	}
	return explain(history, operations)
}

// explain describes how far the calls can be ordered.
func explain(history []operation, operations []porcupine.Operation) error {
	_, info := porcupine.CheckOperationsVerbose(newModel(), operations, patience)
	var longest []porcupine.Operation
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	state := &log{}
	ordered := make(map[*call]bool)
	for _, o := range longest {
		state, _ = state.answer(o.Input.(*call))
		ordered[o.Input.(*call)] = true
	}
	left := slices.DeleteFunc(slices.Clone(history), func(o operation) bool { return ordered[o.Call] })
	end := slices.MinFunc(left, func(a, b operation) int { return cmp.Compare(a.End, b.End) }).End
	var b strings.Builder
	fmt.Fprintf(&b, "no order explains the %d calls; %d can be ordered. The next must be one of these, and none has the right answer:",
		len(history), len(longest))
	for _, o := range left {
		if o.Begin <= end {
			_, expected := state.answer(o.Call)
			fmt.Fprintf(&b, "\n  client %d: %s\n    expected %s", o.Client, describe(o.Call, o.Answer), text(expected))
		}
	}
	return errors.New(b.String())
}

// describe formats a call and its answer in a line.
func describe(c *call, a *answer) string { return text(c) + " answered " + text(a) }

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
