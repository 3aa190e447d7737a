package mutants

import "slices"

// The environment variables that give a proof a small budget: enough to find the
// fault of a mutant, in a second or two.
var (
	someImages     = "YORE_PROOF_IMAGES=2000"
	someSites      = "YORE_PROOF_SITES=400"
	someKills      = "YORE_PROOF_KILLS=40"
	someOperations = "YORE_PROOF_OPERATIONS=20000"
	someSequences  = "YORE_PROOF_SEQUENCES=100"
	moreSequences  = "YORE_PROOF_SEQUENCES=1000"
	someFlips      = "YORE_PROOF_FLIPS=150"
	noFlips        = "YORE_PROOF_FLIPS=0"
	someLost       = "YORE_PROOF_LOST=300"
	onlyRebuilds   = "YORE_PROOF_PARTS=rebuilds"
	onlyPauses     = "YORE_PROOF_PARTS=pause"
)

const (
	boltstore = "eventstore/boltstore/"
	writer    = boltstore + "writer.go"
	disk      = boltstore + "disk.go"
	past      = boltstore + "past.go"
	log       = "internal/logfile/log.go"
	place     = "internal/logfile/place.go"
	database  = "internal/logfile/database.go"
	names     = "internal/logfile/names.go"
)

// all are the mutants.
func all() []mutant {
	return slices.Concat(sound(), lies(), durability(), damage(), olderContent(), concurrency(), conditions(), answers(), indexes(), packs(), ceilings(), fairness(), inUse(), surroundings(), fewAddresses(),
		values(), types(), commands(), functions())
}

// sound is the store as it is. The proofs must not fail on it with the same budgets;
// otherwise their failures on mutants prove nothing.
func sound() []mutant {
	return []mutant{
		{name: "as it is: power-loss", proof: "power-loss", env: []string{someImages}, sound: true},
		{name: "as it is: faults", proof: "faults", env: []string{someSites}, sound: true},
		{name: "as it is: kill-window", proof: "kill-window", env: []string{someKills}, sound: true},
		{name: "as it is: linear", proof: "linear", env: []string{someOperations}, sound: true},
		{name: "as it is: ceilings", proof: "ceilings", sound: true},
		{name: "as it is: model", proof: "model", env: []string{someSequences}, sound: true},
		{name: "as it is: bit-flips", proof: "bit-flips", env: []string{someFlips}, sound: true},
		{name: "as it is: lost-write", proof: "lost-write", env: []string{someLost}, sound: true},
		{name: "as it is: fairness", proof: "fairness", env: []string{onlyPauses}, sound: true},
		{name: "as it is: in-use", proof: "in-use", sound: true},
		{name: "as it is: paths", proof: "paths", sound: true},
		{name: "as it is: resources", proof: "resources", sound: true},
		{name: "as it is: read-back", proof: "read-back", sound: true},
	}
}

// lies are disks that do not sync, under the store as it is.
func lies() []mutant {
	var mutants []mutant
	for _, lie := range []struct{ which, breaks string }{
		{"data", "the disk does not sync pages"},
		{"meta", "the disk does not sync meta pages"},
		{"all", "the disk syncs nothing"},
		{"dir", "the disk does not sync directories"},
	} {
		mutants = append(mutants, mutant{
			name: "lying fsync: " + lie.which, breaks: lie.breaks, proof: "power-loss",
			env: []string{someImages, "YORE_PROOF_LIE=" + lie.which},
		})
	}
	return mutants
}

// durability are stores that do too little to make commits durable.
func durability() []mutant {
	return []mutant{
		{
			name: "NoSync", breaks: "commits are not synced",
			proof: "power-loss", env: []string{someImages},
			file:  "internal/logfile/file.go",
			edits: []edit{{"		ReadOnly:     opts.ReadOnly,\n", "		ReadOnly:        opts.ReadOnly,\n		NoSync:          true,\n"}},
		},
		{
			name: "no directory fsync", breaks: "the directory of a new file is not synced",
			proof: "power-loss", env: []string{someImages},
			file:  "internal/logfile/newfile.go",
			edits: []edit{{"dir.Sync()", "nil"}},
		},
		{
			name: "no fsync of a new file", breaks: "a new file is not synced before it gets its name",
			proof: "power-loss", env: []string{someImages},
			file:  "internal/logbuild/builder.go",
			edits: []edit{{"b.db.Sync()", "error(nil)"}},
		},
		{
			name: "no sync after open", breaks: "what a killed process left in the page cache is not synced by Open",
			proof: "kill-window", env: []string{someKills},
			file:  "internal/logfile/file.go",
			edits: []edit{{"	if err := db.Sync(); err != nil {", "	if err := error(nil); err != nil {"}},
		},
		{
			name: "doubtful meta page not written again", breaks: "after a failed sync, Open does not write the newest meta page again",
			proof: "faults", env: []string{someSites},
			file:  "internal/logfile/file.go",
			edits: []edit{{"	if doubted {", "	if doubted && f == nil {"}},
		},
		{
			name: "going on after EIO", breaks: "a commit with an unknown outcome does not stop the store",
			proof: "faults", env: []string{someSites},
			file:  disk,
			edits: []edit{{"return err != nil || newest >= id", "return err != nil && newest < 0"}},
		},
		{
			name: "checkpoint without rows", breaks: "rows are not written with their checkpoint",
			proof: "power-loss", env: []string{someImages},
			file:  "internal/viewfile/tally.go",
			edits: []edit{{"	return t.bucket.Put(key, sealed)\n", "	return nil\n"}},
		},
	}
}

// concurrency are stores that are wrong only under concurrent calls.
func concurrency() []mutant {
	return []mutant{
		{
			name: "group acked before commit", breaks: "Append returns before the commit",
			proof: "linear", env: []string{someOperations},
			file: writer, edits: ackedEarly,
		},
		{
			name: "head published before commit", breaks: "readers see events before the commit",
			proof: "linear", env: []string{someOperations},
			file: writer,
			edits: []edit{
				{"		err = t.commit()\n", "		w.tail.publish(t.group)\n		err = t.commit()\n"},
				{"			w.views.keep(t.changes)\n			followed = w.tail.publish(t.group)\n", "			w.views.keep(t.changes)\n"},
			},
		},
		{
			name: "no cap for readers", breaks: "readers see the newest transaction in the file instead of the durable head",
			proof: "linear", env: []string{someOperations},
			file:  boltstore + "read.go",
			edits: []edit{{"	if opts.To > 0 {\n		w.to", "	_ = r.readTx(func(tx *pages.Tx) error {\n		key, _ := tx.Bucket(logfile.LogBucket).Cursor().Last()\n		p, _ := record.ParseKey(key)\n		w.to = p\n		return nil\n	})\n	if opts.To > 0 {\n		w.to"}},
		},
		{
			name: "guard skipped for recent groups", breaks: "a guard is judged without the latest commits",
			proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"		if i := g.firstMatch(q, after); i >= 0 {", "		if i := g.firstMatch(q, after); i >= 0 && i < 0 {"}},
		},
	}
}

// conditions are stores that judge or find commits wrongly under concurrent calls.
func conditions() []mutant {
	return []mutant{
		{
			name: "expectation judged against the disk only", breaks: "an expectation is judged without the latest commits",
			proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"	v := p.versions[i]\n	for g := p.first(); g", "	v := p.versions[i]\n	for g := p.more; g"}},
		},
		{
			name: "key lookup skipped for recent groups", breaks: "a key is looked up without the latest commits",
			proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"		if i, ok := g.keys[key]; ok {", "		if i, ok := g.keys[key]; ok && i < 0 {"}},
		},
		{
			name: "index entry not written", breaks: "an event is indexed by its first tag only",
			proof: "linear", env: []string{someOperations},
			file:  "internal/index/term.go",
			edits: []edit{{"	for i, tag := range e.Tags {", "	for i, tag := range e.Tags[:min(1, len(e.Tags))] {"}},
		},
		{
			name: "acknowledged event lost", breaks: "some transactions are rolled back and acknowledged",
			proof: "linear", env: []string{someOperations},
			file:  disk,
			edits: []edit{{"	if err := logfile.Protect(func() error { return d.commitTx(tx) })", "	if id%97 == 0 {\n		return tx.Rollback()\n	}\n	if err := logfile.Protect(func() error { return d.commitTx(tx) })"}},
		},
	}
}

// ackedEarly acknowledges the first callers of a group before the group is durable.
// Callers that join the group later are acknowledged when it is.
var ackedEarly = []edit{
	{"	begin := time.Now()\n	if t.changesFile() {", "	early := len(t.batches)\n	for _, b := range t.batches {\n		for _, j := range b.jobs {\n			j.end(nil)\n		}\n		close(b.ended)\n	}\n	begin := time.Now()\n	if t.changesFile() {"},
	{"	for _, b := range t.batches {\n		for _, j := range b.jobs {\n			j.end(cmp.Or(", "	for _, b := range t.batches[early:] {\n		for _, j := range b.jobs {\n			j.end(cmp.Or("},
}

// answers are stores that give wrong answers even to a single caller.
func answers() []mutant {
	return []mutant{
		{
			name: "AsOf leaves out the moment itself", breaks: "AsOf is exclusive",
			proof: "model", env: []string{someSequences},
			file:  boltstore + "read.go",
			edits: []edit{{"return recordedBy(log, r.seed, eventstore.Position(i)+1).After(t)", "return !recordedBy(log, r.seed, eventstore.Position(i)+1).Before(t)"}},
		},
		{
			name: "rows are not deleted", breaks: "a deleted row stays",
			proof: "model", env: []string{someSequences},
			file:  "internal/viewfile/tally.go",
			edits: []edit{{"		return t.bucket.Delete(key)\n", "		return nil\n"}},
		},
		{
			name: "an older layer of rows before a newer", breaks: "layers of rows are read in the wrong order",
			proof: "model", env: []string{moreSequences},
			file:  "internal/viewfile/layers.go",
			edits: []edit{{"	for i := range f.layers {\n", "	for i := range f.layers {\n		i = (i + len(f.layers) - 1) % len(f.layers)\n"}},
		},
		{
			name: "deletions lost when layers are folded", breaks: "a row deleted in a layer comes back",
			proof: "model", env: []string{moreSequences},
			file:  "internal/viewfile/layers.go",
			edits: []edit{{"		if err := t.put(e.Key, e.Value); err != nil {", "		if e.Value == nil {\n			continue\n		}\n		if err := t.put(e.Key, e.Value); err != nil {"}},
		},
	}
}

// indexes are stores whose index leaves something out.
func indexes() []mutant {
	return []mutant{
		{
			name: "postings lost when runs are merged", breaks: "the index loses events when it merges runs",
			proof: "model", env: []string{someSequences},
			file:  "internal/index/maintain.go",
			edits: []edit{{"				if err := w.add(piece.term, piece.at); err != nil {", "				if piece.at.position%16 == 0 {\n					continue\n				}\n				if err := w.add(piece.term, piece.at); err != nil {"}},
		},
		{
			name: "terms missing from a filter", breaks: "a filter of the index denies terms that the run has",
			proof: "model", env: []string{someSequences},
			file:  "internal/index/maintain.go",
			edits: []edit{{"		w.filter.add(fingerprint(term))\n", "		if w.run.terms%16 > 0 {\n			w.filter.add(fingerprint(term))\n		}\n"}},
		},
		{
			name: "unwritten postings forgotten", breaks: "Open leaves an event out of the index",
			proof: "model", env: []string{someSequences},
			file:  boltstore + "indexbuild.go",
			edits: []edit{{"window{from: x.Through() + 1, to: head}", "window{from: x.Through() + 2, to: head}"}},
		},
		{
			name: "keys are not looked up on disk", breaks: "a key of an earlier commit is taken for a new one",
			proof: "model", env: []string{someSequences},
			file:  past,
			edits: []edit{{"	if err != nil || first == 0 {", "	if first = 0; err != nil || first == 0 {"}},
		},
	}
}

// packs are stores that write or find packed records wrongly.
func packs() []mutant {
	return []mutant{
		{
			name: "pack under its first position", breaks: "a pack has the wrong key",
			proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"record.Key(w.first - 1)", "record.Key(w.first - eventstore.Position(n))"}},
		},
		{
			name: "the record beside in a pack", breaks: "the wrong record of a pack is returned",
			proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"		return v.At(p), nil", "		return v.At(max(v.First, p-1)), nil"}},
		},
		{
			name: "pending records forgotten", breaks: "the last records of a transaction are not written",
			proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"	for len(w.pending) > 0 {", "	for len(w.pending) >= packAlone {"}},
		},
		{
			name: "pack made where another one is", breaks: "a pack is overwritten before it is written",
			proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"start := len(w.packs)", "start := 0\n		w.packs = w.packs[:0]"}},
		},
		{
			name: "packs are not salvaged", breaks: "Salvage loses the records in packs",
			proof: "model", env: []string{someSequences},
			file: "internal/salvage/pagescan.go",
			edits: []edit{
				{"err == nil && !yield(r, raw) {", "err == nil && v.First == v.Last && !yield(r, raw) {"},
				{"if _, err := record.Decode(m.seed, p, raw); err != nil {", "if _, err := record.Decode(m.seed, p, raw); err != nil || v.First < v.Last {"},
			},
		},
		{
			name: "pending records forgotten by Compact", breaks: "Compact loses the last records",
			proof: "model", env: []string{someSequences},
			file:  "internal/logbuild/builder.go",
			edits: []edit{{"return b.writer.End()", "return nil"}},
		},
	}
}
