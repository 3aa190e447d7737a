package mutants

// inUse are stores that trust their open file.
func inUse() []mutant {
	return []mutant{
		{
			name: "size of the open file not looked at", breaks: "a truncated file is read and written on",
			proof: "in-use",
			file:  place,
			edits: []edit{{"now.Size() < needs {", "now.Size() < needs && needs < 0 {"}},
		},
		{
			name: "write transaction of any file", breaks: "a transaction need not follow the last durable one",
			proof: "in-use",
			file:  place,
			edits: []edit{
				{"id != durable+1 {", "id != durable+1 && durable < 0 {"},
				{"ok && said != end {", "ok && said != end && end.Position == 0 {"},
			},
		},
		{
			name: "content of another log", breaks: "another log's content in the open file is taken for its own",
			proof: "in-use",
			file:  place,
			edits: []edit{
				{"uuid.UUID(page[at:at+len(store)]) == *store {", "at >= 0 {"},
				{"found != identity:", "found != identity && found.Epoch == 0:"},
			},
		},
		{
			name: "locks of a fault not released", breaks: "a fault leaves bbolt's locks behind",
			proof: "in-use", says: "hung",
			file: "internal/logfile/release.go",
			edits: []edit{
				{"	locks.mapped.RUnlock()\n	locks.meta.Unlock()\n", "	_ = locks.mapped\n"},
				{"		locks.writer.Unlock()\n", ""},
			},
		},
		{
			name: "Begin not protected", breaks: "a fault in Begin ends the process",
			proof: "in-use", says: "crashed",
			file:  database,
			edits: []edit{{"	err = Protect(func() error {\n		tx, err = b.Begin(writable)\n		return err\n	})\n", "	tx, err = b.Begin(writable)\n"}},
		},
	}
}

// surroundings are stores that trust the names beside their file, or what their process may
// have.
func surroundings() []mutant {
	return []mutant{
		{
			name: "note written through a link", breaks: "the note of doubt is written where a planted link leads",
			proof: "paths", says: "a planted note",
			file:  "internal/logfile/doubt.go",
			edits: []edit{{"os.O_WRONLY|os.O_CREATE|os.O_EXCL,", "os.O_WRONLY|os.O_CREATE|os.O_TRUNC,"}},
		},
		{
			name: "links not resolved", breaks: "a log opened through a link has other names beside it",
			proof: "paths",
			file:  names,
			edits: []edit{{"real, err := filepath.EvalSymlinks(absolute)", "real, err := absolute, error(nil)"}},
		},
		{
			name: "long names not shortened", breaks: "a file name of 249 bytes is too long for a temporary one",
			proof: "paths",
			file:  names,
			edits: []edit{{"	if len(name) > longName {", "	if len(name) > longName && len(suffix) > 100 {"}},
		},
		{
			name: "files of killed processes kept", breaks: "incomplete files of killed processes stay for ever",
			proof: "paths",
			file:  names,
			edits: []edit{{"	for _, name := range names {", "	for _, name := range names[:0] {"}},
		},
		{
			name: "files of others removed", breaks: "Open removes a file that another process is making",
			proof: "paths", says: "others are making",
			file:  "internal/logfile/lock_flock.go",
			edits: []edit{{"	if err := lock(f, false); err != nil {", "	if err := lock(f, false); err != nil && f == nil {"}},
		},
		{
			name: "umask ignored", breaks: "a new file has permissions that the umask takes away",
			proof: "paths", says: "umask",
			file:  "internal/logfile/newfile.go",
			edits: []edit{{"		if exact {", "		if exact || mode > 0 {"}},
		},
		{
			name: "a closed directory refuses", breaks: "a log in a directory that may not be read is not opened",
			proof: "paths", says: "may not be read",
			file:  "internal/logfile/newfile.go",
			edits: []edit{{"		dir, err = os.Open(path)\n", ""}},
		},
	}
}

// fewAddresses are stores that fail under a limit of address space.
func fewAddresses() []mutant {
	return []mutant{
		{
			name: "not mapped again", breaks: "a store that could not map its grown file reads no more",
			proof: "resources",
			file:  database,
			edits: []edit{{"!errors.Is(err, berrors.ErrInvalidMapping) || !again {", "true || errors.Is(err, berrors.ErrInvalidMapping) || !again {"}},
		},
		{
			name: "no open with few addresses", breaks: "a log is not opened under a limit of address space",
			proof: "resources",
			file:  "internal/logfile/file.go",
			edits: []edit{{"&& options.InitialMmapSize > 0 {", "&& options.InitialMmapSize < 0 {"}},
		},
	}
}
