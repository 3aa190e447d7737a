package mutants

// damage are stores that do not notice damage, or take too much for damaged.
func damage() []mutant {
	decode := "internal/record/decode.go"
	return []mutant{
		{
			name: "CRC off", breaks: "the checksum of a record's identity is not compared",
			proof: "bit-flips", env: []string{someFlips}, says: "wrong",
			file:  decode,
			edits: []edit{{"	if binary.BigEndian.Uint32(rec[at:]) != identitySum(seed, p, rec[:at]) {", "	if binary.BigEndian.Uint32(rec[at:]) != identitySum(seed, p, rec[:at]) && at == 0 {"}},
		},
		{
			name: "CRC of the content off", breaks: "the checksum of payload and metadata is not compared",
			proof: "bit-flips", env: []string{someFlips}, says: "wrong",
			file:  decode,
			edits: []edit{{"	if binary.BigEndian.Uint32(sum) != contentSum(content) {", "	if binary.BigEndian.Uint32(sum) != contentSum(content) && len(sum) == 0 {"}},
		},
		{
			name: "a damaged payload hides its event", breaks: "an event with a damaged payload breaks no condition",
			proof: "bit-flips", env: []string{noFlips}, says: "guard",
			file:  past,
			edits: []edit{{"		if err := scan.page(1); err != nil {\n			return sighting{}, err\n		}", "		scan.matcher.IdentityOnly = false\n		if err := scan.page(1); err != nil {\n			scan.done = true\n		}"}},
		},
		{
			name: "unknown events left out of streams", breaks: "an event that cannot be read is in no stream",
			proof: "bit-flips", env: []string{noFlips},
			file:  boltstore + "scan.go",
			edits: []edit{{"	sc.doubt = cmp.Or(sc.doubt, err)\n	return nil\n", "	return nil\n"}},
		},
		{
			name: "a follower is led past an unknown event", breaks: "Follow goes on after an event of a stream that it could not read",
			proof: "bit-flips", env: []string{noFlips},
			file:  boltstore + "follow.go",
			edits: []edit{{"			b.batch.Through = min(b.batch.Through, corrupt.Position-1)\n", ""}},
		},
	}
}

// olderContent are stores that take older content of a page, or that of another store, for
// their own.
func olderContent() []mutant {
	head := "internal/logfile/head.go"
	return []mutant{
		{
			name: "the root page not compared", breaks: "an older root page is taken for the newest",
			proof: "lost-write", env: []string{someLost},
			file:  head,
			edits: []edit{{"	case by != uint64(tx.ID()):", "	case by > uint64(tx.ID()):"}},
		},
		{
			name: "checkpoint and rows of two moments", breaks: "the generations of a view's checkpoint and tally are not compared",
			proof: "lost-write", env: []string{someLost},
			file:  "internal/viewfile/checkpoints.go",
			edits: []edit{{"err == nil && s.tally.generation != generation {", "err == nil && s.tally.generation != generation && generation == 0 {"}},
		},
		{
			name: "one seed for all stores", breaks: "what another store has written passes the checksums",
			proof: "lost-write", env: []string{someLost},
			file:  "internal/record/sum.go",
			edits: []edit{{"return Seed(crc32.Checksum(store[:], castagnoli))", "return Seed(crc32.Checksum(store[:0], castagnoli))"}},
		},
	}
}
