package aggtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
)

// diffEvents shows how the events that were got differ from those that are wanted:
// as JSON, unless JSON does not show it. It is empty if they do not.
func diffEvents(registry *codec.Registry, want, got []any) string {
	wantDump, gotDump := dump(want), dump(got)
	if slices.Equal(wantDump, gotDump) {
		return ""
	}
	wantJSON, gotJSON := render(registry, want), render(registry, got)
	if slices.Equal(wantJSON, gotJSON) {
		return diff(wantDump, gotDump)
	}
	return diff(wantJSON, gotJSON)
}

// render returns the lines that show the events: Go type and indented JSON, and
// the stream if there is one.
func render(registry *codec.Registry, events []any) []string {
	var lines []string
	for _, event := range events {
		in, isIn := event.(aggregate.InStream)
		if isIn {
			event = in.Event
		}
		encoded, err := registry.Encode(event)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%T (%v)", event, err))
			continue
		}
		var text bytes.Buffer
		if err := json.Indent(&text, encoded.Data, "", "  "); err != nil {
			text.Write(encoded.Data)
		}
		if isIn {
			fmt.Fprintf(&text, " in stream %q", in.Stream)
		}
		lines = append(lines, strings.Split(fmt.Sprintf("%T %s", event, &text), "\n")...)
	}
	return lines
}

// roundTrip encodes the events and checks that they decode to what they were.
func roundTrip(t testing.TB, registry *codec.Registry, what string, events []any) []codec.Encoded {
	t.Helper()
	stored := make([]codec.Encoded, 0, len(events))
	for i, event := range events {
		encoded, err := registry.Encode(event)
		if err != nil {
			t.Fatalf("%s event %d: %v", what, i, err)
			return nil
		}
		before, after := dump(event), dump(encoded.Value)
		if !slices.Equal(before, after) {
			t.Errorf("%s event %d: %T changes when it is stored and read:\n%s", what, i, event, diff(before, after))
		}
		stored = append(stored, encoded)
	}
	return stored
}

// decode decodes what was encoded just now.
func decode(t testing.TB, registry *codec.Registry, encoded codec.Encoded) any {
	t.Helper()
	values, err := registry.DecodeAll(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
	if err != nil || len(values) != 1 {
		t.Fatalf("decode %q version %d: %d values, error %v", encoded.Type, encoded.SchemaVersion, len(values), err)
		return nil
	}
	return values[0]
}

func anys[E any](events []E) []any {
	list := make([]any, len(events))
	for i, event := range events {
		list[i] = event
	}
	return list
}

func count(events int) string {
	switch events {
	case 0:
		return "no event"
	case 1:
		return "1 event"
	default:
		return fmt.Sprintf("%d events", events)
	}
}

const contextLines = 3 // unchanged lines shown around changed ones

// diff shows two texts as one: lines with - are wanted (or were there before),
// lines with + were got (or came after), the others are common.
func diff(want, got []string) string {
	lines := edits(want, got)
	var out strings.Builder
	skipping := false
	for i, line := range lines {
		near := lines[max(0, i-contextLines):min(len(lines), i+contextLines+1)]
		if slices.ContainsFunc(near, func(l string) bool { return l[0] != ' ' }) {
			out.WriteString(line + "\n")
			skipping = false
		} else if !skipping {
			out.WriteString("  …\n")
			skipping = true
		}
	}
	return out.String()
}

// edits returns the lines of both texts, marked, along a longest common
// subsequence.
func edits(want, got []string) []string {
	// common[i][j] is the length of that of want[i:] and got[j:].
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			lines = append(lines, "  "+want[i])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, "- "+want[i])
			i++
		default:
			lines = append(lines, "+ "+got[j])
			j++
		}
	}
	return lines
}
