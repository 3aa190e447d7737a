package payload_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/payload"
)

type line struct {
	Name string
	N    int64
}

// order has what is stored: text, times, numbers, optional parts, nested parts.
type order struct {
	ID      string            `json:"id"`
	At      time.Time         `json:"at,omitzero"`
	Lines   []line            `json:"lines,omitempty"`
	First   *line             `json:"first"`
	Labels  map[string]string `json:"labels"`
	Counts  map[int]float64
	Sizes   [2]string
	Free    any
	Raw     json.RawMessage `json:",omitempty"`
	Sum     *big.Int
	Secret  string `json:"-"`
	Visits  map[time.Time]int
	Warm    *degrees
	Nested  ring
	Payload []byte
}

var amsterdam1890 = time.FixedZone("AMT", 19*60+32)

func TestCodec_Change(t *testing.T) {
	for change, of := range map[string]order{
		`its ID is "caf\xe9" and would be read back as "caf` + "\ufffd" + `": text must be UTF-8`: {ID: "caf\xe9"},
		`its Lines[1].Name is "\xff"`:                                       {Lines: []line{{}, {Name: "\xff"}}},
		`its First.Name is "\xc3"`:                                          {First: &line{Name: "\xc3"}},
		`"] is there and would be read back as missing: text must be UTF-8`: {Labels: map[string]string{"\xff": "", "\xfe": ""}},
		`its Labels["a"] is "\xff"`:                                         {Labels: map[string]string{"a": "\xff"}},
		`its Sizes[1] is "\xff"`:                                            {Sizes: [2]string{1: "\xff"}},
		`its Free is "\xff"`:                                                {Free: "\xff"},
		`its Free is a struct { n int } and would be read back as {}`:       {Free: struct{ n int }{1}},
		`its Nested.All["a"].Next.Name is "\xff"`:                           {Nested: ring{All: map[string]ring{"a": {Next: &ring{Name: "\xff"}}}}},
		`: the offset of a time's zone must be whole minutes`:               {At: time.Date(1890, 1, 1, 0, 0, 0, 0, amsterdam1890)},
	} {
		c := payload.For[order]()
		_, read, err := c.Reread(of)
		require.NoError(t, err)
		found := c.Change(of, read)
		require.Error(t, found, change)
		require.Contains(t, found.Error(), change)
	}
}

func TestCodec_NoChange(t *testing.T) {
	warm := degrees(21.5)
	for _, of := range []order{
		{},
		{ID: "caf\u00e9 \ufffd \u2028 <&>", At: time.Now(), Lines: []line{}, Labels: map[string]string{}, First: &line{}},
		{At: time.Date(2026, 7, 1, 0, 0, 0, 1, time.FixedZone("", 5*3600+30*60)), Visits: map[time.Time]int{time.Now().Round(0): 1}},
		{Free: map[string]any{"b": int64(1) << 60, "a": []string{"x"}, "t": time.Now()}, Raw: json.RawMessage(`{"a": 1}`), Secret: "is not stored"},
		{Free: line{"a", 1<<53 + 1}, Sum: big.NewInt(1).Lsh(big.NewInt(1), 200), Warm: &warm, Counts: map[int]float64{-1: 0.1, 7: 1e21}},
		{Free: []any{nil, true, "x", 1.5, json.Number("9007199254740993"), &line{}}, Payload: []byte{0xff}},
		{Nested: ring{Name: "a", Next: &ring{}, All: map[string]ring{"": {Next: &ring{Name: "b"}}}}},
	} {
		c := payload.For[order]()
		data, read, err := c.Reread(of)
		require.NoError(t, err)
		require.NoError(t, asError(c.Change(of, read)), "%s", data)
	}
}

type (
	set    map[string]struct{} // its JSON is in no order
	prio   int                 // 3 is left out
	stamp  struct{ time.Time }
	first  struct{ A string }
	other2 struct{ B string }
	inner  struct{ C string }
	// mixed has parts of all kinds that are hard to compare.
	mixed struct {
		first
		other2
		inner  `json:"inner"`
		Set    set
		Prio   prio `json:",omitzero"`
		Stamp  stamp
		Stamps map[netip.Addr]stamp
		Keys   map[time.Time]string
		Any    any
		F      float64 `json:",omitempty"`
	}
)

func (s set) MarshalJSON() ([]byte, error) {
	var list []string
	for k := range s {
		list = append(list, k)
	}
	return json.Marshal(list)
}

func (s *set) UnmarshalJSON(data []byte) error {
	var list []string
	err := json.Unmarshal(data, &list)
	*s = make(set)
	for _, k := range list {
		(*s)[k] = struct{}{}
	}
	return err
}

func (p prio) IsZero() bool { return p == 3 }

func (f first) MarshalJSON() ([]byte, error)   { return json.Marshal(f.A) }
func (f *first) UnmarshalJSON(d []byte) error  { return json.Unmarshal(d, &f.A) }
func (o other2) MarshalJSON() ([]byte, error)  { return json.Marshal(o.B) }
func (o *other2) UnmarshalJSON(d []byte) error { return json.Unmarshal(d, &o.B) }

func TestCodec_Change_OfMixed(t *testing.T) {
	c := payload.For[mixed]()
	local, seconds := netip.MustParseAddr("::1"), time.Date(1890, 1, 1, 0, 0, 0, 0, amsterdam1890)
	for want, of := range map[string]mixed{
		"its Prio is 3 and would be read back as 0: its IsZero":   {Prio: 3},
		"its Stamp.Time is 1890-":                                 {Stamp: stamp{seconds}},
		"its Stamps[::1].Time is 1890-":                           {Stamps: map[netip.Addr]stamp{local: {seconds}}},
		"its Keys[1890-":                                          {Keys: map[time.Time]string{seconds: ""}},
		`its first.A is "\xff"`:                                   {first: first{"\xff"}},
		`its inner.C is "\xff"`:                                   {inner: inner{"\xff"}},
		`its Any[0] is "\xff"`:                                    {Any: []string{"\xff"}},
		`its Any.Name is "\xff"`:                                  {Any: &line{Name: "\xff"}},
		`its Any["\xff"] is there and would be read back as miss`: {Any: map[string]int{"\xff": 1}},
		`its Any["a"][0] is "\xff"`:                               {Any: map[string]any{"a": []string{"\xff"}}},
		"its Any is 1890-":                                        {Any: seconds},
	} {
		_, read, err := c.Reread(of)
		require.NoError(t, err)
		require.ErrorContains(t, asError(c.Change(of, read)), want)
	}
	for _, of := range []mixed{
		{first: first{"a"}, other2: other2{"b"}, Prio: 2, Stamp: stamp{time.Now()}, Keys: map[time.Time]string{time.Now(): "a"}},
		{Any: set{"a": {}, "b": {}, "c": {}}}, {Any: []set{{"a": {}, "b": {}, "c": {}}}},
		{Any: []string{"a"}, Stamps: map[netip.Addr]stamp{local: {time.Now()}}},
		{Any: map[string]any{"a": []int{1}, "b": map[int]string{1: "x"}}}, {Any: time.Now()}, {Any: line{N: 1}}, {F: math.Copysign(0, -1)},
	} {
		for range 20 {
			of.Set = set{"a": {}, "b": {}, "c": {}, "d": {}}
			data, read, err := c.Reread(of)
			require.NoError(t, err)
			require.NoError(t, asError(c.Change(of, read)), "%s", data)
			decoded, err := c.Decode(data)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(1/decoded.F), fmt.Sprint(1/read.F), "also its sign")
		}
	}
	require.False(t, payload.For[ring]().Certain(), "it may be deeper than a decoder goes")
}

// asError returns a nil error for a nil change.
func asError(c *payload.Change) error {
	if c == nil {
		return nil
	}
	return c
}

func TestCodec_Decode(t *testing.T) {
	c := payload.For[map[string]any]()
	value, err := c.Decode([]byte(`{"n": 9007199254740993, "in": [18446744073709551615, 0.10]} `))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"n": json.Number("9007199254740993"), "in": []any{json.Number("18446744073709551615"), json.Number("0.10")},
	}, value)
	for data, want := range map[string]string{
		"":         "unexpected end of JSON input",
		`{"a":`:    "unexpected end of JSON input",
		`{} {}`:    "there is more after the JSON value, from byte 4",
		`{}}`:      "more after the JSON value",
		`{}x`:      "more after the JSON value",
		`{"a" 1}`:  "invalid character '1' after object key",
		`["a"]`:    "cannot unmarshal array",
		"\xff":     "invalid character",
		`{"a":1},`: "more after the JSON value",
	} {
		_, err := c.Decode([]byte(data))
		require.ErrorContains(t, err, want, data)
		_, err = payload.For[line]().Decode([]byte(data))
		require.Error(t, err, data)
	}
	require.False(t, c.Certain())
	require.True(t, payload.For[line]().Certain())
	require.True(t, payload.For[struct{ At map[string]*time.Time }]().Certain())
	require.False(t, payload.For[[]big.Int]().Certain())
}

// guarded can be written and not read: what only a value shows.
type guarded struct{ N int }

func (g guarded) MarshalJSON() ([]byte, error) { return json.Marshal(g.N) }
func (g *guarded) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &g.N); err != nil || g.N < 0 {
		return fmt.Errorf("%s is negative", data)
	}
	return nil
}

func TestCodec_Reread_Unreadable(t *testing.T) {
	c := payload.For[[]guarded]()
	_, _, err := c.Reread([]guarded{{1}, {-1}})
	var unreadable *payload.UnreadableError
	require.ErrorAs(t, err, &unreadable)
	require.EqualError(t, err, "it could not be read back: -1 is negative")
	_, _, err = payload.For[float64]().Reread(math.Inf(1))
	require.ErrorContains(t, err, "unsupported value")
}

// FuzzCodec checks that a value that was read can be written, and is read as the same.
func FuzzCodec(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"id":"a\ufffd","at":"2026-01-01T00:00:00.5+01:00","lines":[{"Name":"x","N":-1}],"first":null}`,
		`{"Free":{"a":[1,2.50,1e400,"\ud800"]},"Raw":{"b": 1},"Sum":123456789012345678901234567890,"Warm":"3 C"}`,
		`{"labels":{"\ud800":"a","\udfff":"b"},"Counts":{"1":2},"Visits":{"2026-01-01T00:00:00Z":1},"Payload":"/w=="}`,
		`{"Nested":{"Name":"a","Next":{"Next":{}},"All":{"x":{"All":{}}}}}`,
	} {
		f.Add([]byte(seed))
	}
	c := payload.For[order]()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		value, err := c.Decode(data)
		if err != nil {
			return
		}
		again, read, err := c.Reread(value)
		if err != nil {
			return // such as a time of the year 10000, or a Raw that is no JSON
		}
		require.NoError(t, asError(c.Change(value, read)), "%s", again)
		twice, err := c.Encode(read)
		require.NoError(t, err)
		require.Equal(t, string(again), string(twice))
	})
}

// plain needs no decoding to be known as it is read, if it is in UTC and its lists are nil.
type plain struct {
	Line line
	A    bool
	F    float32 `json:",omitempty"`
	S    string  `json:"s,omitempty"`
	In   struct{ N uint8 }
	At   time.Time
	List []string
	Maps map[string]time.Time `json:",omitempty"`
	Next *plain
	Any  any
}

// TestCodec_Reread_Plain checks that values that are not decoded are read as they are, and
// share no memory with those that are written.
func TestCodec_Reread_Plain(t *testing.T) {
	c := payload.For[plain]()
	now := time.Now()
	list := []string{"a"}
	for _, value := range []plain{
		{},
		{Line: line{"caf\u00e9 \u2028<>\ufffd", math.MinInt64}, A: true, F: 0.1, S: "x", In: struct{ N uint8 }{255}},
		{F: math.MaxFloat32}, {F: math.SmallestNonzeroFloat32}, {F: float32(math.Copysign(0, -1))}, {S: "\x00\x7f\""},
		{S: "\xff"}, {Line: line{Name: "\xc3"}},
		{At: now}, {At: now.UTC()}, {At: now.Round(0)}, {At: now.Add(time.Hour).In(time.FixedZone("x", 60))}, {At: time.Unix(0, 1).UTC()},
		{List: list}, {List: []string{}}, {Maps: map[string]time.Time{}}, {Maps: map[string]time.Time{"a": now}}, {Next: &plain{}},
		{Any: 1}, {Any: any(nil)}, {Any: list},
	} {
		data, read, err := c.Reread(value)
		require.NoError(t, err)
		decoded, err := c.Decode(data)
		require.NoError(t, err)
		require.Equal(t, decoded, read, "%s", data)
	}
	_, read, err := c.Reread(plain{List: list})
	require.NoError(t, err)
	list[0] = "b"
	require.Equal(t, []string{"a"}, read.List)
}
