package aggtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// diffEvents shows how the decided events differ from those that are wanted: as
// JSON, unless JSON does not show it.
func (o *Outcome[S, C, E]) diffEvents(events []E, want, got []string) string {
	wantJSON, gotJSON := o.scenario.render(events), o.scenario.render(o.events)
	if slices.Equal(wantJSON, gotJSON) {
		return diff(want, got)
	}
	return diff(wantJSON, gotJSON)
}

// render returns the lines that show the events: Go type and indented JSON.
func (s *Scenario[S, C, E]) render(events []E) []string {
	var lines []string
	for _, event := range events {
		encoded, err := s.registry.Encode(event)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%T (%v)", event, err))
			continue
		}
		var text bytes.Buffer
		if err := json.Indent(&text, encoded.Data, "", "  "); err != nil {
			text.Write(encoded.Data)
		}
		lines = append(lines, strings.Split(fmt.Sprintf("%T %s", event, &text), "\n")...)
	}
	return lines
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
