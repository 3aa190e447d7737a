package doctor

import (
	"fmt"
	"strings"
)

// String formats the report in lines: the counts, then the examples.
func (r Report) String() string {
	sections := []struct {
		what     string
		findings []Finding
	}{
		{"of an unknown name or version", r.Unknown},
		{"undecodable", r.Undecodable},
		{"read by upcasters only", r.Upcast},
		{"with other tags than today", r.Retagged},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%8d events examined, through position %d\n", r.Events, r.Through)
	for _, s := range sections {
		fmt.Fprintf(&b, "%8d %s\n", count(s.findings), s.what)
	}
	for _, s := range sections {
		for _, f := range s.findings {
			fmt.Fprintf(&b, "%s: %d of %q version %d\n", s.what, f.Events, f.Name, f.Version)
			for _, e := range f.Examples {
				fmt.Fprintf(&b, "    position %d: %s\n", e.Position, e.Reason)
			}
		}
	}
	return b.String()
}

func count(findings []Finding) uint64 {
	var events uint64
	for _, f := range findings {
		events += f.Events
	}
	return events
}
