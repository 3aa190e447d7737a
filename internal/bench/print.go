package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// printer prints rows as they come, as a table or as JSON. Notes are printed under
// the table or, with JSON, on stderr at once.
type printer struct {
	json           bool
	stdout, stderr io.Writer
	begun          bool
	notes          []string
}

func newPrinter(json bool, stdout, stderr io.Writer) *printer {
	return &printer{json: json, stdout: stdout, stderr: stderr}
}

const lineFormat = "%-22s %12s %-10s %12s %8s  %-10s %s\n"

// row prints a row and reports whether it has missed its bound.
func (p *printer) row(r row, s sample) (missed bool) {
	missed = !r.must.holds(s)
	if p.json {
		p.object(r, s)
		return missed
	}
	if !p.begun {
		fmt.Fprintf(p.stdout, lineFormat, "name", "value", "unit", "baseline", "ratio", "must reach", "")
		p.begun = true
	}
	baseline, ratio, verdict := number(s.baseline), number(s.ratio()), "ok"
	if s.baseline == 0 {
		baseline, ratio = "-", "-"
	}
	if missed {
		verdict = "MISSED"
	}
	fmt.Fprintf(p.stdout, lineFormat, r.name, number(s.value), r.unit, baseline, ratio, r.must, verdict)
	return missed
}

// object prints a row as JSON, with 0 for a missing baseline.
func (p *printer) object(r row, s sample) {
	line, err := json.Marshal(struct {
		Name     string  `json:"name"`
		Value    float64 `json:"value"`
		Unit     string  `json:"unit"`
		Baseline float64 `json:"baseline"`
		Ratio    float64 `json:"ratio"`
	}{r.name, s.value, r.unit, s.baseline, s.ratio()})
	if err != nil {
		fmt.Fprintf(p.stderr, "%s: %v\n", r.name, err) // NaN or infinite
		return
	}
	fmt.Fprintf(p.stdout, "%s\n", line)
}

// note adds a note about a row, or about all rows if row is "".
func (p *printer) note(row, text string) {
	if row != "" {
		text = row + ": " + text
	}
	if p.json {
		fmt.Fprintln(p.stderr, text)
		return
	}
	p.notes = append(p.notes, text)
}

// end prints the notes.
func (p *printer) end() {
	if len(p.notes) > 0 {
		fmt.Fprintln(p.stdout)
	}
	for _, note := range p.notes {
		fmt.Fprintln(p.stdout, note)
	}
}

// String formats the bound as in the table.
func (b bound) String() string {
	sign := "≥"
	if b.atMost {
		sign = "≤"
	}
	return sign + " " + strconv.FormatFloat(b.limit, 'g', -1, 64)
}

// number formats x with at least three digits.
func number(x float64) string {
	switch {
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'f', 3, 64)
	}
}

// printList prints the rows' definitions.
func printList(w io.Writer, rows []row) {
	for _, r := range rows {
		bounded := "ratio"
		if r.must.ofValue {
			bounded = r.unit
		}
		fmt.Fprintf(w, "%-22s %-8s %-8s %s\n", r.name, r.must, bounded, r.what)
	}
}
