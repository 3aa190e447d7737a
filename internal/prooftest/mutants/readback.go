package mutants

// The files that the mutants of read-back change.
const (
	rowTables = "projection/table.go"
	faultsOf  = "internal/payload/faults.go"
	jsonOf    = "internal/payload/codec.go"
	eventsOf  = "codec/builder.go"
	digestOf  = "aggregate/digest.go"
	executes  = "aggregate/execute.go"
)

// values are libraries that store values that cannot be read back.
func values() []mutant {
	return []mutant{
		{
			name: "index entries of the row that was put", breaks: "an index has entries of a value that is read as another one",
			proof: "read-back", says: "rows: ",
			file:  rowTables,
			edits: []edit{{"		return t.values.Reread(value)\n", "		data, _, err = t.values.Reread(value)\n		return data, value, err\n"}},
		},
		{
			name: "rows that cannot be decoded", breaks: "a row is put that no read can decode",
			proof: "read-back", says: "rows: types with methods",
			file:  rowTables,
			edits: []edit{{"len(t.indexes) > 0 || !t.values.Certain()", "len(t.indexes) > 0"}},
		},
		{
			name: "rows of any type", breaks: "the types of rows are not checked",
			proof: "read-back", says: "it is accepted as a row",
			file:  rowTables,
			edits: []edit{{"range payload.Faults(reflect.TypeFor[V]())", "range payload.Faults(reflect.TypeFor[int]())"}},
		},
		{
			name: "snapshots of any type", breaks: "the types of states are not checked",
			proof: "read-back", says: "it is accepted as a snapshot",
			file:  "aggregate/snapshot.go",
			edits: []edit{{"range payload.Faults(state)", "range payload.Faults(state)[:0]"}},
		},
		{
			name: "values that change", breaks: "an event is stored that is read as another one",
			proof: "read-back", says: "events: text",
			file:  eventsOf,
			edits: []edit{{"; changed != nil {", "; false && changed != nil {"}},
		},
		{
			name: "plain values not looked at", breaks: "text that is not UTF-8 is taken for text that is",
			proof: "read-back", says: "events: plain values",
			file:  "internal/payload/same.go",
			edits: []edit{{"return utf8.ValidString(v.String())", "return utf8.ValidString(v.String()) || v.Len() < 1<<20"}},
		},
	}
}

// types are libraries that accept types that cannot be read back.
func types() []mutant {
	return []mutant{
		{
			name: "half a pair of methods", breaks: "a type with one of two methods is not tried",
			proof: "read-back", says: "only written",
			file:  faultsOf,
			edits: []edit{{"fault := probe(t, enc, dec); fault != \"\"", "fault := probe(t, enc, dec); false && fault != \"\""}},
		},
		{
			name: "elements of maps have addresses", breaks: "methods with pointer receivers count where JSON does not call them",
			proof: "read-back", says: "pointer methods in a map",
			file:  faultsOf,
			edits: []edit{{"c.walk(t.Elem(), path, false)", "c.walk(t.Elem(), path, true)"}},
		},
		{
			name: "fields of one name", breaks: "fields that JSON leaves out are not noticed",
			proof: "read-back", says: "fields with one name",
			file:  faultsOf,
			edits: []edit{{"		c.collisions(fields)\n", ""}},
		},
		{
			name: "embedded types that swallow", breaks: "a method of an embedded type counts as one of the struct",
			proof: "read-back", says: "swallows its sibling",
			file:  faultsOf,
			edits: []edit{{"	if !is {\n		return false\n	}\n	for i", "	if !is || t.NumField() > 0 {\n		return false\n	}\n	for i"}},
		},
		{
			name: "numbers as floats", breaks: "an integer in an any loses digits",
			proof: "read-back", says: "numbers",
			file:  jsonOf,
			edits: []edit{{"	d.UseNumber()\n", ""}},
		},
		{
			name: "null is an event", breaks: "null is decoded as the zero event",
			proof: "read-back", says: "null",
			file:  "codec/check.go",
			edits: []edit{{"isNull(data) && !holdsNull", "isNull(data) && holdsNull"}},
		},
	}
}

// commands are libraries that carry out more than one command under an id.
func commands() []mutant {
	return []mutant{
		{
			name: "digests not compared", breaks: "a command id stands for any command of its aggregate",
			proof: "read-back", says: "one id",
			file:  "aggregate/commandid.go",
			edits: []edit{{"if len(k.digest) == 0 || ", "if len(k.digest) >= 0 || "}},
		},
		{
			name: "commands of another type", breaks: "the digest does not tell the types of commands apart",
			proof: "read-back", says: "taken",
			file:  digestOf,
			edits: []edit{{"	d.text(v.Type().String())\n", ""}},
		},
		{
			name: "fields that a deploy adds", breaks: "the digest counts fields that are zero",
			proof: "read-back", says: "after a deploy",
			file:  digestOf,
			edits: []edit{{"		if empty(f.value) {\n			continue\n		}\n", ""}},
		},
		{
			name: "decisions without a command", breaks: "a command id stands for any decision",
			proof: "read-back", says: "one id: decisions",
			file:  "aggregate/decision.go",
			edits: []edit{{"	return target{cmd: d.Command, digest: func(cmd any) ([]byte, error) {\n", "	return target{cmd: d.Command, digest: func(cmd any) ([]byte, error) {\n		if cmd != nil || cmd == nil {\n			return nil, nil\n		}\n"}},
		},
	}
}

// functions are libraries that trust the functions of an application.
func functions() []mutant {
	return []mutant{
		{
			name: "events folded as decided", breaks: "the state of a result has what is not in the log",
			proof: "read-back", says: "events: fields that are left out",
			file:  executes,
			edits: []edit{{"after.Events[i] = encoded, read.(E)", "after.Events[i] = encoded, event\n		_ = read"}},
		},
		{
			name: "an Evolve that panics after the append", breaks: "an event is appended that Evolve cannot take",
			proof: "read-back", says: "an Evolve that panics",
			file:  executes,
			edits: []edit{{"		after.State = r.decider.Evolve(after.State, event)\n", "		func() {\n			defer func() { _ = recover() }()\n			after.State = r.decider.Evolve(after.State, event)\n		}()\n"}},
		},
		{
			name: "a Decide that executes", breaks: "a command waits for the command that it is executed in",
			proof: "read-back", says: "a Decide that executes",
			file:  "aggregate/reentrance.go",
			edits: []edit{{"!within(decideEntry) {", "!within(readEntry) {"}},
		},
		{
			name: "tags that no event has", breaks: "a model asks by tags that its types do not have",
			proof: "read-back", says: "a rule over tags",
			file:  "aggregate/model_resolve.go",
			edits: []edit{{"range selection.Untagged {", "range selection.Untagged[:0] {"}},
		},
	}
}
