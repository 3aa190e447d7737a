package mutants

// ceilings are stores that take more than their limits allow.
func ceilings() []mutant {
	some := func(cases string) []string { return []string{"YORE_PROOF_CEILINGS=" + cases} }
	return []mutant{
		{
			name: "tags counted when a line is parsed", breaks: "Import counts the tags of a line only when it has parsed them",
			proof: "ceilings", env: some("tags in a line"),
			file:  "internal/jsonl/jsonl.go",
			edits: []edit{{"		if len(tags) == p.limits.TagsPerEvent {", "		if len(tags) == p.limits.TagsPerEvent && p.seen == nil {"}},
		},
		{
			name: "metadata of a line is not bounded", breaks: "Import takes any number of metadata entries in a line",
			proof: "ceilings", env: some("entries of metadata in a line"),
			file:  "internal/jsonl/jsonl.go",
			edits: []edit{{"	p.metadata += len(name) + len(value)\n", ""}},
		},
		{
			name: "metadata does not count in a commit", breaks: "the metadata of a stored commit has no bound",
			proof: "ceilings", env: some("60 KiB of metadata"), says: "it holds",
			file:  "internal/record/contract.go",
			edits: []edit{{"			size += len(key) + len(value)\n", "			size += 0 * (len(key) + len(value))\n"}},
		},
		{
			name: "metadata does not count in a batch", breaks: "Import holds more records than a batch may have",
			proof: "ceilings", env: some("4,000 commits"), says: "it holds",
			file:  boltstore + "import.go",
			edits: []edit{{"	b.bytes += len(rec) + each", "	b.bytes += each"}},
		},
		{
			name: "Restore without the contract", breaks: "Restore takes events that no Append could have written",
			proof: "ceilings", env: some("empty type"), says: "type is empty",
			file:  "internal/logfile/sequence.go",
			edits: []edit{{"	if reason == \"\" {\n		reason = s.contract.Check(&r)\n	}\n", ""}},
		},
		{
			name: "a record's claims are believed", breaks: "a record makes a reader take memory for what it does not have",
			proof: "ceilings", env: some("an event with a million entries"), says: "it holds",
			file:  "internal/record/decode.go",
			edits: []edit{{"	if n <= limit {\n		return false", "	if n >= 0 {\n		return false"}},
		},
		{
			name: "names in guards are not bounded", breaks: "a commit may have twice the names in guards",
			proof: "ceilings", env: some("the guards of a commit"), says: "expected ErrTooLarge",
			file:  "eventstore/validate.go",
			edits: []edit{{"names, l.NamesPerCommit); err != nil", "names, 2*l.NamesPerCommit); err != nil"}},
		},
	}
}
