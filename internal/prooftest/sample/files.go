package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// measure notes the size of the file and of its used part.
func (s *Sample) measure(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.Size, s.Used = int64(len(content)), len(content)
	for s.Used > 0 && content[s.Used-1] == 0 {
		s.Used--
	}
	page := os.Getpagesize()
	s.Used = (s.Used + page - 1) / page * page
	return nil
}

// The files of a saved sample.
const (
	knownFile = "sample.json"
	logFile   = "sample.yore"
)

// Save writes the sample and the used part of its file at path to a directory.
func (s *Sample) Save(path, dir string) error {
	known, err := json.Marshal(s)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, knownFile), known, 0o600),
		os.WriteFile(filepath.Join(dir, logFile), content[:s.Used], 0o600),
	)
}

// Files returns the files that Save wrote to a directory.
func Files(dir string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, name := range []string{knownFile, logFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

// Load reads a saved sample, and the used part of its file.
func Load(dir string) (*Sample, []byte, error) {
	files, err := Files(dir)
	if err != nil {
		return nil, nil, err
	}
	var s Sample
	if err := json.Unmarshal(files[knownFile], &s); err != nil {
		return nil, nil, err
	}
	for i := range s.Events {
		if s.Events[i].Data == nil {
			s.Events[i].Data = []byte{}
		}
	}
	s.once = &history{}
	return &s, files[logFile], nil
}

// New makes a sample in scratch, checks that the store answers all questions about an
// undamaged copy, and saves it to dir, which New creates.
func New(ctx context.Context, scratch, dir string, b Build) (*Sample, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(scratch, "building.yore")
	s, err := b.In(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("build a sample: %w", err)
	}
	if err := errors.Join(s.Save(path, dir), os.Remove(path)); err != nil {
		return nil, err
	}
	loaded, content, err := Load(dir)
	if err != nil {
		return nil, err
	}
	for _, readOnly := range []bool{true, false} {
		if err := Write(path, content, loaded.Size); err != nil {
			return nil, err
		}
		if o := loaded.Examine(ctx, path, How{ReadOnly: readOnly}); o.Class != Harmless {
			return nil, fmt.Errorf("a sample that is not damaged (read-only %v): %v", readOnly, o)
		}
	}
	return loaded, os.Remove(path)
}

// Write makes a new file of content, with zeros up to size.
func Write(path string, content []byte, size int64) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}
