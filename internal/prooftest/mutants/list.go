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
	onlyRebuilds   = "YORE_PROOF_PARTS=rebuilds"
	onlyPauses     = "YORE_PROOF_PARTS=pause"
)

const (
	boltstore = "eventstore/boltstore/"
	writer    = boltstore + "writer.go"
	disk      = boltstore + "disk.go"
	past      = boltstore + "past.go"
	log       = "internal/logfile/log.go"
)

// all are the mutants.
func all() []mutant {
	return slices.Concat(sound(), lies(), durability(), damage(), concurrency(), answers(), packs(), fairness())
}

// sound is the store as it is. The proofs must not fail on it with the same budgets;
// otherwise their failures on mutants prove nothing.
func sound() []mutant {
	return []mutant{
		{name: "as it is: power-loss", proof: "power-loss", env: []string{someImages}, sound: true},
		{name: "as it is: faults", proof: "faults", env: []string{someSites}, sound: true},
		{name: "as it is: kill-window", proof: "kill-window", env: []string{someKills}, sound: true},
		{name: "as it is: linear", proof: "linear", env: []string{someOperations}, sound: true},
		{name: "as it is: model", proof: "model", env: []string{someSequences}, sound: true},
		{name: "as it is: fairness", proof: "fairness", env: []string{onlyPauses}, sound: true},
	}
}

// lies are disks that do not sync, under the store as it is.
func lies() []mutant {
	var mutants []mutant
	for _, lie := range []string{"data", "meta", "all", "dir"} {
		mutants = append(mutants, mutant{name: "lying fsync: " + lie, proof: "power-loss", env: []string{someImages, "YORE_PROOF_LIE=" + lie}})
	}
	return mutants
}

// durability are stores that do too little to make commits durable.
func durability() []mutant {
	return []mutant{
		{
			name: "NoSync", proof: "power-loss", env: []string{someImages},
			file:  "internal/logfile/file.go",
			edits: []edit{{"		ReadOnly:     opts.ReadOnly,\n", "		ReadOnly:        opts.ReadOnly,\n		NoSync:          true,\n"}},
		},
		{
			name: "no directory fsync", proof: "power-loss", env: []string{someImages},
			file:  "internal/logfile/newfile.go",
			edits: []edit{{"dir.Sync()", "nil"}},
		},
		{
			name: "no fsync of a new file", proof: "power-loss", env: []string{someImages},
			file:  "internal/logbuild/builder.go",
			edits: []edit{{"b.db.Sync()", "error(nil)"}},
		},
		{
			name: "no sync after open", proof: "kill-window", env: []string{someKills},
			file:  "internal/logfile/file.go",
			edits: []edit{{"	if err := db.Sync(); err != nil {", "	if err := error(nil); err != nil {"}},
		},
		{
			name: "doubtful meta page not written again", proof: "faults", env: []string{someSites},
			file:  "internal/logfile/file.go",
			edits: []edit{{"	if doubted {", "	if doubted && f == nil {"}},
		},
		{
			name: "going on after EIO", proof: "faults", env: []string{someSites},
			file:  disk,
			edits: []edit{{"return err != nil || newest >= id", "return err != nil && newest < 0"}},
		},
		{
			name: "checkpoint without rows", proof: "power-loss", env: []string{someImages},
			file:  "internal/viewfile/tally.go",
			edits: []edit{{"	return t.bucket.Put(key, sealed)\n", "	return nil\n"}},
		},
	}
}

// damage are stores that do not notice damage.
func damage() []mutant {
	return []mutant{
		{
			name: "CRC off", proof: "bit-flips", env: []string{someFlips}, says: "fabricated",
			file:  "internal/record/decode.go",
			edits: []edit{{"want != got {", "want != got && end < 0 {"}},
		},
	}
}

// concurrency are stores that are wrong only under concurrent calls.
func concurrency() []mutant {
	return []mutant{
		{
			name: "group acked before commit", proof: "linear", env: []string{someOperations},
			file: writer, edits: ackedEarly,
		},
		{
			name: "head published before commit", proof: "linear", env: []string{someOperations},
			file: writer,
			edits: []edit{
				{"		err = t.commit()\n", "		w.tail.publish(t.group)\n		err = t.commit()\n"},
				{"			w.views.keep(t.changes)\n			followed = w.tail.publish(t.group)\n", "			w.views.keep(t.changes)\n"},
			},
		},
		{
			name: "no cap for readers", proof: "linear", env: []string{someOperations},
			file:  boltstore + "read.go",
			edits: []edit{{"	if opts.To > 0 {\n		w.to", "	_ = r.db.View(func(tx *bolt.Tx) error {\n		key, _ := tx.Bucket(logfile.LogBucket).Cursor().Last()\n		p, _ := record.ParseKey(key)\n		w.to = p\n		return nil\n	})\n	if opts.To > 0 {\n		w.to"}},
		},
		{
			name: "guard skipped for recent groups", proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"		if i := g.firstMatch(q, after); i >= 0 {", "		if i := g.firstMatch(q, after); i >= 0 && i < 0 {"}},
		},
		{
			name: "expectation judged against the disk only", proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"	v := p.versions[i]\n	for g := p.first(); g", "	v := p.versions[i]\n	for g := p.more; g"}},
		},
		{
			name: "key lookup skipped for recent groups", proof: "linear", env: []string{someOperations},
			file:  past,
			edits: []edit{{"		if i, ok := g.keys[key]; ok {", "		if i, ok := g.keys[key]; ok && i < 0 {"}},
		},
		{
			name: "index entry not written", proof: "linear", env: []string{someOperations},
			file:  "internal/index/term.go",
			edits: []edit{{"	for i, tag := range e.Tags {", "	for i, tag := range e.Tags[:min(1, len(e.Tags))] {"}},
		},
		{
			name: "acknowledged event lost", proof: "linear", env: []string{someOperations},
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
			name: "AsOf leaves out the moment itself", proof: "model", env: []string{someSequences},
			file:  boltstore + "read.go",
			edits: []edit{{"return recordedFrom(log, eventstore.Position(i)+1).After(t)", "return !recordedFrom(log, eventstore.Position(i)+1).Before(t)"}},
		},
		{
			name: "rows are not deleted", proof: "model", env: []string{someSequences},
			file:  "internal/viewfile/tally.go",
			edits: []edit{{"		return t.bucket.Delete(key)\n", "		return nil\n"}},
		},
		{
			name: "an older layer of rows before a newer", proof: "model", env: []string{moreSequences},
			file:  "internal/viewfile/layers.go",
			edits: []edit{{"	for i := range f.layers {\n", "	for i := range f.layers {\n		i = (i + len(f.layers) - 1) % len(f.layers)\n"}},
		},
		{
			name: "deletions lost when layers are folded", proof: "model", env: []string{moreSequences},
			file:  "internal/viewfile/layers.go",
			edits: []edit{{"		if err := t.put(e.Key, e.Value); err != nil {", "		if e.Value == nil {\n			continue\n		}\n		if err := t.put(e.Key, e.Value); err != nil {"}},
		},
		{
			name: "postings lost when runs are merged", proof: "model", env: []string{someSequences},
			file:  "internal/index/maintain.go",
			edits: []edit{{"				if err := w.add(piece.term, piece.at); err != nil {", "				if piece.at.position%16 == 0 {\n					continue\n				}\n				if err := w.add(piece.term, piece.at); err != nil {"}},
		},
		{
			name: "terms missing from a filter", proof: "model", env: []string{someSequences},
			file:  "internal/index/maintain.go",
			edits: []edit{{"		w.filter.add(fingerprint(term))\n", "		if w.run.terms%16 > 0 {\n			w.filter.add(fingerprint(term))\n		}\n"}},
		},
		{
			name: "unwritten postings forgotten", proof: "model", env: []string{someSequences},
			file:  boltstore + "indexbuild.go",
			edits: []edit{{"window{from: x.Through() + 1, to: head}", "window{from: x.Through() + 2, to: head}"}},
		},
		{
			name: "keys are not looked up on disk", proof: "model", env: []string{someSequences},
			file:  past,
			edits: []edit{{"	if err != nil || first == 0 {", "	if first = 0; err != nil || first == 0 {"}},
		},
	}
}

// packs are stores that write or find packed records wrongly.
func packs() []mutant {
	return []mutant{
		{
			name: "pack under its first position", proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"record.Key(w.first - 1)", "record.Key(w.first - eventstore.Position(n))"}},
		},
		{
			name: "the record beside in a pack", proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"return r.value.At(p), nil", "return r.value.At(max(r.value.First, p-1)), nil"}},
		},
		{
			name: "pending records forgotten", proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"	for len(w.pending) > 0 {", "	for len(w.pending) >= packAlone {"}},
		},
		{
			name: "pack made where another one is", proof: "model", env: []string{someSequences},
			file:  log,
			edits: []edit{{"start := len(w.packs)", "start := 0\n		w.packs = w.packs[:0]"}},
		},
		{
			name: "packs are not salvaged", proof: "model", env: []string{someSequences},
			file: "internal/salvage/pagescan.go",
			edits: []edit{
				{"err == nil && !yield(r, raw) {", "err == nil && v.First == v.Last && !yield(r, raw) {"},
				{"if _, err := record.Decode(p, raw); err != nil {", "if _, err := record.Decode(p, raw); err != nil || v.First < v.Last {"},
			},
		},
		{
			name: "pending records forgotten by Compact", proof: "model", env: []string{someSequences},
			file:  "internal/logbuild/builder.go",
			edits: []edit{{"return b.writer.End()", "return nil"}},
		},
	}
}

// fairness are stores that starve appends, or do not forgive a pause.
func fairness() []mutant {
	return []mutant{
		{
			name: "rows and events in one queue", proof: "fairness", env: []string{onlyRebuilds}, says: "more than",
			file:  boltstore + "queue.go",
			edits: []edit{{"		return &q.events\n", "		return &q.bulk\n"}},
		},
		{
			name: "an overrun is a fault at once", proof: "fairness", env: []string{onlyPauses}, says: "fault",
			file: "internal/rows/overruns.go",
			edits: []edit{
				{"	maxOverruns = 3\n", "	maxOverruns = 1\n"},
				{"	if !result.paused {", "	if !result.paused || result.Overrun {"},
			},
		},
		{
			name: "a late view stays late", proof: "fairness", env: []string{onlyPauses}, says: "come back",
			file:  boltstore + "late.go",
			edits: []edit{{"	err := s.awaitRun(ctx, v)\n	for err == nil {", "	err := eventstore.ErrClosed\n	for err == nil {"}},
		},
	}
}
