package codectest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/codectest"
)

type (
	added struct {
		SKU    string         `json:"sku"`
		Price  float64        `json:"price"`
		Lines  []int          `json:"lines,omitempty"`
		Fields map[string]any `json:"fields,omitempty"`
	}
	removed struct {
		SKU string `json:"sku"`
	}
	stray struct{}
)

func build(t testing.TB, fill func(b *codec.Builder)) *codec.Registry {
	t.Helper()
	b := codec.NewBuilder()
	fill(b)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

func first(b *codec.Builder) {
	codec.Register[added](b, "cart.Added", 1, codec.Tags(func(e added) []string { return []string{"sku:" + e.SKU} }))
	codec.Register[removed](b, "cart.removed", 1)
}

var values = []any{added{SKU: "<a>", Price: 1.50, Lines: []int{1, 2}, Fields: map[string]any{"a": true, "b": nil}}, removed{SKU: "a"}}

// recorder is a test that records its failures.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Logf(string, ...any) {}

// golden returns the failures of Golden.
func golden(t *testing.T, update bool, registry *codec.Registry, dir string, values ...any) []string {
	t.Helper()
	env := ""
	if update {
		env = "1"
	}
	t.Setenv("UPDATE_GOLDEN", env)
	r := &recorder{TB: t}
	codectest.Golden(r, registry, dir, values...)
	return r.failures
}

// samples returns a directory with the samples of the first registry.
func samples(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "testdata", "events")
	require.Empty(t, golden(t, true, build(t, first), dir, values...))
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(content)
}

const addedFile = "cart.%41dded.1.json"

func TestGolden_WritesAndHolds(t *testing.T) {
	dir := samples(t)
	require.Equal(t, `{
  "name": "cart.Added",
  "version": 1,
  "data": {
    "sku": "\u003ca\u003e",
    "price": 1.5,
    "lines": [
      1,
      2
    ],
    "fields": {
      "a": true,
      "b": null
    }
  },
  "tags": [
    "sku:<a>"
  ],
  "codec": "json"
}
`, read(t, dir, addedFile))
	require.Empty(t, golden(t, false, build(t, first), dir, values...))
	require.Empty(t, golden(t, false, build(t, first), dir), "values are for samples that are not there")
	before := read(t, dir, addedFile)
	require.Empty(t, golden(t, true, build(t, first), dir, added{SKU: "other"}))
	require.Equal(t, before, read(t, dir, addedFile), "what is stored is written once")
}

func TestGolden_MissingSamples(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	for _, update := range []bool{false, true} {
		failures := golden(t, update, build(t, first), dir, values[0], values[0], stray{}, &removed{})
		require.Contains(t, failures, `no sample of "cart.removed" version 1: give Golden a value of type codectest_test.removed and run the test with UPDATE_GOLDEN=1`)
		require.Contains(t, failures, `two values of type codectest_test.added: there is one sample for each name and version`)
		require.Contains(t, failures, `a value of type codectest_test.stray cannot be a sample: Go type codectest_test.stray is not registered (codec.Register)`)
		if !update {
			require.Contains(t, failures, `no sample of "cart.Added" version 1: run the test with UPDATE_GOLDEN=1 to write `+filepath.Join(dir, addedFile))
			require.NoDirExists(t, dir)
			require.Len(t, failures, 5)
		} else {
			require.FileExists(t, filepath.Join(dir, addedFile))
			require.Len(t, failures, 4)
		}
	}
}

// TestGolden_BreakingChanges makes changes after which stored events are lost.
func TestGolden_BreakingChanges(t *testing.T) {
	type retyped struct {
		SKU   int     `json:"sku"`
		Price float64 `json:"price"`
	}
	type respelled struct {
		SKU    string         `json:"product"`
		Price  float64        `json:"price"`
		Lines  []string       `json:"-"`
		Fields map[string]any `json:"fields,omitempty"`
	}
	removedToo := func(b *codec.Builder) { codec.Register[removed](b, "cart.removed", 1) }
	for name, c := range map[string]struct {
		fill func(b *codec.Builder)
		want []string
	}{
		"another type": {func(b *codec.Builder) { codec.Register[retyped](b, "cart.Added", 1) },
			[]string{"cannot be read today", "cannot unmarshal string into Go struct field retyped.sku of type int"}},
		"other names of fields": {func(b *codec.Builder) { codec.Register[respelled](b, "cart.Added", 1) },
			[]string{"\n    data.lines: recorded [1,2], today missing", "\n    data.product: not recorded, today \"\"",
				"\n    data.sku: recorded \"\\u003ca\\u003e\", today missing", "\n    tags: recorded [\"sku:<a>\"], today []"}},
		"not registered": {func(*codec.Builder) {},
			[]string{`unknown event type "cart.Added" (version 1): the name is not registered`, "register the name and version, or an upcaster for it"}},
		"renamed, unsaid": {func(b *codec.Builder) { codec.Register[added](b, "cart.put", 1) },
			[]string{`unknown event type "cart.Added"`, `no sample of "cart.put" version 1`}},
		"an upcaster that panics": {func(b *codec.Builder) {
			codec.Register[added](b, "cart.Added", 2)
			codec.Upcast(b, "cart.Added", 1, func(m map[string]any) added { return m["it"].(added) })
		}, []string{`upcast "cart.Added" version 1: panic: `}},
	} {
		failures := golden(t, false, build(t, func(b *codec.Builder) { removedToo(b); c.fill(b) }), samples(t))
		for _, want := range c.want {
			require.Contains(t, fmt.Sprint(failures), want, name)
		}
	}
}

// TestGolden_RetiredVersions upcasts events. Their samples must stay and show what
// they are today.
func TestGolden_RetiredVersions(t *testing.T) {
	dir := samples(t)
	type addedV1 struct{ SKU string }
	next := func(quantity int) *codec.Registry {
		return build(t, func(b *codec.Builder) {
			codec.Register[added](b, "cart.put", 1, codec.Tags(func(e added) []string { return []string{"sku:" + e.SKU} }))
			codec.Split(b, "cart.Added", 1, func(old addedV1) []any {
				return []any{added{SKU: old.SKU, Lines: []int{quantity}}, added{SKU: "more"}}
			}, added{})
			codec.Drop(b, "cart.removed", 1)
		})
	}
	failures := golden(t, false, next(1), dir, values[0])
	require.Contains(t, failures[0], `no sample of "cart.put" version 1`)
	require.Contains(t, failures[1], `recorded "cart.Added" version 1, today "cart.put" version 1, "cart.put" version 1`)
	require.Contains(t, failures[2], `recorded "cart.removed" version 1, today no event`)
	require.Contains(t, failures[2], "run the test with UPDATE_GOLDEN=1 to record what it is today")
	require.Len(t, failures, 3)

	stored := storedPart(t, dir, addedFile)
	require.Empty(t, golden(t, true, next(1), dir, values[0]))
	require.Empty(t, golden(t, false, next(1), dir))
	require.Equal(t, stored, storedPart(t, dir, addedFile))
	require.Contains(t, read(t, dir, "cart.removed.1.json"), `"today": []`)

	failures = golden(t, false, next(2), dir)
	require.Len(t, failures, 1)
	require.Contains(t, failures[0], "\n    event 1: data.lines[0]: recorded 1, today 2\n")

	require.Empty(t, golden(t, true, build(t, func(b *codec.Builder) {
		first(b)
		codec.Rename(b, "cart.put", 1, "cart.Added", 1)
	}), dir))
	require.NotContains(t, read(t, dir, addedFile), "today", "it is itself again")
}

// storedPart returns the stored part of a sample.
func storedPart(t *testing.T, dir, name string) map[string]any {
	t.Helper()
	var sample map[string]any
	require.NoError(t, json.Unmarshal([]byte(read(t, dir, name)), &sample))
	delete(sample, "today")
	return sample
}

func TestGolden_FilesThatAreNoSamples(t *testing.T) {
	dir := samples(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("x"), 0o666))
	for name, content := range map[string]string{
		"empty.json":            ``,
		"no-data.1.json":        `{"name":"no-data","version":1,"codec":"json"}`,
		"cart.removed.2.json":   read(t, dir, "cart.removed.1.json"),
		"cart.removed.9.json":   `{"name":"cart.removed","version":9,"codec":"json","data":{}}`,
		"cart.protobuf.1.json":  `{"name":"cart.protobuf","version":1,"codec":"json","data":{}}`,
		"cart.%41dded.1.json.x": `not looked at`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
	}
	failures := golden(t, true, build(t, first), dir)
	require.Len(t, failures, 5)
	all := fmt.Sprint(failures)
	require.Contains(t, all, "empty.json: not a sample")
	require.Contains(t, all, "no-data.1.json: not a sample: it has no data")
	require.Contains(t, all, `cart.removed.2.json: the sample in it is of "cart.removed" version 1, which belongs in `)
	require.Contains(t, all, `unknown version 9 of event type "cart.removed": known are [1]`)
	require.Contains(t, all, `unknown event type "cart.protobuf"`)
	require.Contains(t, fmt.Sprint(golden(t, false, build(t, first), filepath.Join(dir, "README"))), "README")
}

// lossy is an event that does not decode to what was encoded.
type lossy struct{ N int }

func (l lossy) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"n":%d}`, l.N), nil }
func (l *lossy) UnmarshalJSON([]byte) error  { *l = lossy{}; return nil }

func TestGolden_ValueThatIsNotStoredAsItIs(t *testing.T) {
	dir := t.TempDir()
	registry := build(t, func(b *codec.Builder) { codec.Register[lossy](b, "lossy", 1) })
	require.Contains(t, golden(t, true, registry, dir, lossy{7}),
		`a value of type codectest_test.lossy cannot be a sample: encode codectest_test.lossy as "lossy" version 1: it is {"n":7} and would be read back as {"n":0}`)
	require.NoFileExists(t, filepath.Join(dir, "lossy.1.json"))
}
