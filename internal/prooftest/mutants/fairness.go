package mutants

// fairness are stores that starve appends, or do not forgive a pause.
func fairness() []mutant {
	return []mutant{
		{
			name: "rows and events in one queue", breaks: "rows are taken before events that came later",
			proof: "fairness", env: []string{onlyRebuilds}, says: "more than",
			file:  boltstore + "queue.go",
			edits: []edit{{"		return &q.events\n", "		return &q.bulk\n"}},
		},
		{
			name: "an overrun is a fault at once", breaks: "a view that runs out of time once is faulted",
			proof: "fairness", env: []string{onlyPauses}, says: "fault",
			file: "internal/rows/overruns.go",
			edits: []edit{
				{"	maxOverruns = 3\n", "	maxOverruns = 1\n"},
				{"	if !result.paused {", "	if !result.paused || result.Overrun {"},
			},
		},
		{
			name: "a late view stays late", breaks: "a view that ran out of time is not attached again",
			proof: "fairness", env: []string{onlyPauses}, says: "come back",
			file:  boltstore + "late.go",
			edits: []edit{{"	err := s.awaitRun(ctx, v)\n	for err == nil {", "	err := eventstore.ErrClosed\n	for err == nil {"}},
		},
	}
}
