package codectest

import (
	"os"
	"testing"

	"github.com/yore-es/yore/codec"
)

// update is the environment variable that makes Golden write files, if it is not "".
const update = "UPDATE_GOLDEN"

// Golden checks the registry against the samples in a directory. The test fails,
// with a message that says what to do,
//
//   - for a registered name and version without a sample;
//   - for a sample that the registry cannot decode;
//   - for a sample that differs from its record: when the decoded values are encoded
//     again, names, versions, data or tags are not as recorded.
//
// Samples are made of the values, one for each registered Go type. A value should
// not be the zero value: every field should be set. It is used until its sample is
// written and ignored afterwards.
//
// If the environment has UPDATE_GOLDEN=1, Golden writes the missing samples, and
// records what the others are today. It never changes the stored part of a sample
// and never removes a sample: the sample of a name or version that is no longer
// registered stays and proves that its upcaster works. Delete the file of an event
// that was never stored in production by hand.
func Golden(t testing.TB, registry *codec.Registry, dir string, values ...any) {
	t.Helper()
	g := golden{t: t, registry: registry, dir: dir, update: os.Getenv(update) != ""}
	samples := g.load()
	for _, s := range append(samples, g.missing(samples, g.encode(values))...) {
		g.check(s)
	}
}

// golden is one call of Golden.
type golden struct {
	t        testing.TB
	registry *codec.Registry
	dir      string
	update   bool
}

// encode returns the events of the values, by name and version.
func (g *golden) encode(values []any) map[key]codec.Encoded {
	g.t.Helper()
	events := make(map[key]codec.Encoded, len(values))
	for _, value := range values {
		encoded, err := g.registry.Encode(value)
		if err != nil {
			g.t.Errorf("a value of type %T cannot be a sample: %v", value, err)
			continue
		}
		k := key{encoded.Type, encoded.SchemaVersion}
		if _, twice := events[k]; twice {
			g.t.Errorf("two values of type %T: there is one sample for each name and version", value)
			continue
		}
		events[k] = encoded
	}
	return events
}

// missing reports each registration without a sample. In an update it returns the
// samples that can be written.
func (g *golden) missing(samples []*sample, events map[key]codec.Encoded) []*sample {
	g.t.Helper()
	there := make(map[key]bool)
	for _, s := range samples {
		there[s.key()] = true
	}
	var made []*sample
	for r := range g.registry.All() {
		k := key{r.Name, r.Version}
		encoded, given := events[k]
		switch {
		case there[k]:
		case !given:
			g.t.Errorf("no sample of %v: give Golden a value of type %v and run the test with %s=1", k, r.Type, update)
		case !g.update:
			g.t.Errorf("no sample of %v: run the test with %s=1 to write %s", k, update, k.file(g.dir))
		default:
			made = append(made, newSample(encoded))
		}
	}
	return made
}

// check checks the registry against a sample.
func (g *golden) check(s *sample) {
	g.t.Helper()
	file := s.key().file(g.dir)
	today, err := s.read(g.registry)
	if err != nil {
		g.t.Errorf("%s: cannot be read today: %v\n"+
			"events like this one are stored: register the name and version, or an upcaster for it", file, err)
		return
	}
	differences := compare(s.recorded(), today)
	switch {
	case s.isNew:
		g.write(file, s)
	case len(differences) > 0 && !g.update:
		g.t.Errorf("%s: decodes to other events than recorded:%s\n"+
			"if this is meant, run the test with %s=1 to record what it is today", file, list(differences), update)
	case len(differences) > 0:
		s.record(today)
		g.write(file, s)
	}
}

func (g *golden) write(file string, s *sample) {
	g.t.Helper()
	if err := s.save(file); err != nil {
		g.t.Errorf("%v", err)
		return
	}
	g.t.Logf("wrote %s", file)
}

// list formats differences as lines of a message.
func list(differences []string) string {
	text := ""
	for _, d := range differences {
		text += "\n    " + d
	}
	return text
}
