package codectest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/codec"
)

// key is a stored name and version.
type key struct {
	name    string
	version uint32
}

func (k key) String() string { return fmt.Sprintf("%q version %d", k.name, k.version) }

// file returns the path of the key's sample. It replaces the characters of the name
// that some file systems do not allow.
func (k key) file(dir string) string {
	var name strings.Builder
	for _, c := range []byte(k.name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			name.WriteByte(c)
		default: // capitals too: some file systems ignore case
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return filepath.Join(dir, fmt.Sprintf("%s.%d.json", &name, k.version))
}

// sample is the content of a file: an event as stored, and as it is today.
type sample struct {
	event
	Codec string `json:"codec"`
	// Today is nil if the event is today as stored, and empty if it is dropped.
	Today *[]event `json:"today,omitempty"`

	isNew bool
}

type event struct {
	Name    string          `json:"name"`
	Version uint32          `json:"version"`
	Data    json.RawMessage `json:"data"`
	Tags    []string        `json:"tags,omitempty"`
}

func newEvent(e codec.Encoded) event {
	return event{Name: e.Type, Version: e.SchemaVersion, Data: e.Data, Tags: e.Tags}
}

func newSample(e codec.Encoded) *sample {
	return &sample{event: newEvent(e), Codec: e.Codec, isNew: true}
}

func (s *sample) key() key { return key{s.Name, s.Version} }

// read decodes the sample and encodes the values again.
func (s *sample) read(registry *codec.Registry) ([]event, error) {
	// Compact the data, as it was when it was encoded: a type with its own
	// UnmarshalJSON may depend on that.
	var data bytes.Buffer
	if err := json.Compact(&data, s.Data); err != nil {
		return nil, err
	}
	values, err := registry.DecodeAll(s.Name, s.Version, s.Codec, data.Bytes())
	if err != nil {
		return nil, err
	}
	today := make([]event, 0, len(values))
	for _, value := range values {
		encoded, err := registry.Encode(value)
		if err != nil {
			return nil, err
		}
		today = append(today, newEvent(encoded))
	}
	return today, nil
}

// recorded returns the recorded form of the sample.
func (s *sample) recorded() []event {
	if s.Today == nil {
		return []event{s.event}
	}
	return *s.Today
}

// record records what the sample is today.
func (s *sample) record(today []event) {
	s.Today = nil
	if len(compare(s.recorded(), today)) > 0 {
		s.Today = &today
	}
}

func (s *sample) save(file string) error {
	var content bytes.Buffer
	e := json.NewEncoder(&content)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, content.Bytes(), 0o666)
}

// load returns the samples of the directory, by file name. It reports JSON files
// that are not samples, and ignores other files.
func (g *golden) load() []*sample {
	g.t.Helper()
	files, err := os.ReadDir(g.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.t.Errorf("%v", err)
	}
	var samples []*sample
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".json" {
			continue
		}
		s, err := load(filepath.Join(g.dir, f.Name()))
		if err != nil {
			g.t.Errorf("%v", err)
			continue
		}
		samples = append(samples, s)
	}
	return samples
}

func load(file string) (*sample, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s sample
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("%s: not a sample: %w", file, err)
	}
	if len(s.Data) == 0 {
		return nil, fmt.Errorf("%s: not a sample: it has no data", file)
	}
	if want := s.key().file(filepath.Dir(file)); want != file {
		return nil, fmt.Errorf("%s: the sample in it is of %v, which belongs in %s", file, s.key(), want)
	}
	return &s, nil
}
