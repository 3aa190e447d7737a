package jsonl

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/record"
)

// A payload that is compact JSON is written into the line unchanged, and read from it
// without being parsed: large numbers and repeated names, which a JSON library would
// change, come back as they were. Any other payload is in base64.

// AppendLine appends the line of a record, with its newline, to dst. A record that has no
// line, because no store could have appended it, is a [*eventstore.CorruptError]; dst is
// then returned unchanged.
func AppendLine(dst []byte, r *record.Record) ([]byte, error) {
	e := &r.Event
	w := lineWriter{b: append(dst, '{')}
	w.number("position", uint64(e.Position))
	if e.Stream != "" {
		w.text("stream", string(e.Stream))
		w.number("version", uint64(e.Version))
	}
	w.name("commit")
	w.b = append(w.b, '{')
	w.number("i", uint64(r.Place.I))
	w.number("n", uint64(r.Place.N))
	if r.Key != "" {
		w.text("key", r.Key)
	}
	if len(r.Digest) > 0 {
		w.text("digest", hex.EncodeToString(r.Digest))
	}
	w.b = append(w.b, '}')
	w.text("id", e.ID.String())
	w.text("type", e.Type)
	if e.SchemaVersion != 0 {
		w.number("schema_version", uint64(e.SchemaVersion))
	}
	if e.Codec != "" {
		w.text("codec", e.Codec)
	}
	w.time("recorded", e.Recorded)
	if !e.Time.Equal(e.Recorded) {
		w.time("time", e.Time)
	}
	w.tags(e.Tags)
	w.metadata(e.Metadata)
	w.data(e.Data)
	if w.problem != "" {
		return dst, &eventstore.CorruptError{Position: e.Position, Reason: w.problem}
	}
	return append(w.b, '}', '\n'), nil
}

// lineWriter appends the fields of an object.
type lineWriter struct {
	b       []byte
	problem string // why the object cannot be written; "" if it can
}

// name appends a field's name, and the comma before it.
func (w *lineWriter) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *lineWriter) number(name string, n uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

func (w *lineWriter) text(name, s string) {
	w.name(name)
	w.quote(s)
}

// quote appends a string. It escapes U+2028 and U+2029, which are valid in a JSON string
// but which some programs take for the end of a line.
func (w *lineWriter) quote(s string) {
	if !utf8.ValidString(s) {
		w.problem = fmt.Sprintf("%q is not UTF-8", s)
		return
	}
	const digits = "0123456789abcdef"
	w.b = append(w.b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			w.b = append(w.b, '\\', c)
		case c < ' ':
			w.b = append(w.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		case c == 0xe2 && (s[i:i+3] == "\u2028" || s[i:i+3] == "\u2029"):
			w.b = append(w.b, `\u202`...)
			w.b = append(w.b, digits[s[i+2]&15])
			i += 2
		default:
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}

func (w *lineWriter) time(name string, t time.Time) {
	if year := t.Year(); year < 1 || year > 9999 {
		w.problem = fmt.Sprintf("%s in year %d", name, year)
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
}

func (w *lineWriter) tags(tags []eventstore.Tag) {
	if len(tags) == 0 {
		return
	}
	w.name("tags")
	w.b = append(w.b, '[')
	for i, tag := range tags {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(string(tag))
	}
	w.b = append(w.b, ']')
}

func (w *lineWriter) metadata(m eventstore.Metadata) {
	if len(m) == 0 {
		return
	}
	w.name("metadata")
	w.b = append(w.b, '{')
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(key)
		w.b = append(w.b, ':')
		w.quote(m[key])
	}
	w.b = append(w.b, '}')
}

func (w *lineWriter) data(data []byte) {
	switch {
	case len(data) == 0:
	case isCompactJSON(data):
		w.name("data")
		w.b = append(w.b, data...)
	default:
		w.name("data_base64")
		w.b = append(w.b, '"')
		w.b = base64.StdEncoding.AppendEncode(w.b, data)
		w.b = append(w.b, '"')
	}
}

// isCompactJSON reports whether a payload can be written into a line unchanged: it is one
// JSON value in UTF-8 without spaces or newlines outside of strings.
func isCompactJSON(data []byte) bool {
	if !utf8.Valid(data) || !json.Valid(data) {
		return false
	}
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
		case c == '\\':
			i++ // skip the escaped byte
		case c <= ' ' && !inString:
			return false
		}
	}
	return true
}

// ParseLine parses a line without its newline. It takes the fields in any order, each at
// most once, and spaces between them, and refuses everything that the format does not
// describe. It ends where a limit of one event is passed, so a line takes no more memory than
// the largest event. Its errors name the field and match none of the contract's. The record
// shares no memory with the line.
func ParseLine(line []byte, limits eventstore.Limits) (record.Record, error) {
	if !utf8.Valid(line) {
		return record.Record{}, errors.New("it is not UTF-8")
	}
	p := lineParser{reader: jsonReader{rest: line}, limits: limits, seen: make(map[string]bool, 16)}
	err := p.reader.object(shortText, p.field)
	if err == nil {
		err = p.reader.end()
	}
	if err == nil {
		err = p.complete()
	}
	return p.r, err
}

// lineParser parses the fields of a line into a record.
type lineParser struct {
	reader   jsonReader
	limits   eventstore.Limits
	r        record.Record
	seen     map[string]bool
	metadata int // bytes of keys and values so far
}

func (p *lineParser) field(name string) (err error) {
	if p.seen[name] {
		return fmt.Errorf("field %q occurs twice", name)
	}
	p.seen[name] = true
	e := &p.r.Event
	switch name {
	case "position":
		e.Position, err = number[eventstore.Position](&p.reader, 1<<63-1)
	case "stream":
		e.Stream, err = text[eventstore.StreamID](p, "stream")
	case "version":
		e.Version, err = number[eventstore.Version](&p.reader, 1<<63-1)
	case "commit":
		err = p.reader.object(shortText, p.commitField)
	case "id":
		e.ID, err = p.id()
	case "type":
		e.Type, err = text[string](p, "type")
	case "schema_version":
		e.SchemaVersion, err = number[uint32](&p.reader, 1<<32-1)
	case "codec":
		e.Codec, err = text[string](p, "codec")
	case "recorded":
		e.Recorded, err = p.time()
	case "time":
		e.Time, err = p.time()
	case "tags":
		e.Tags, err = p.tags()
	case "metadata":
		err = p.reader.object(p.limits.MetadataBytes, p.metadataField)
	case "data":
		e.Data, err = p.reader.value("the payload", p.limits.PayloadBytes)
		e.Data = bytes.Clone(e.Data)
	case "data_base64":
		e.Data, err = p.base64()
	default:
		return fmt.Errorf("field %q is unknown", name)
	}
	if err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	return nil
}

func (p *lineParser) commitField(name string) (err error) {
	if p.seen["commit."+name] {
		return fmt.Errorf("%q occurs twice", name)
	}
	p.seen["commit."+name] = true
	switch name {
	case "i":
		p.r.Place.I, err = number[int](&p.reader, 1<<31-1)
	case "n":
		p.r.Place.N, err = number[int](&p.reader, 1<<31-1)
	case "key":
		p.r.Key, err = text[string](p, "key")
		if err == nil && p.r.Key == "" {
			err = errors.New("key is empty")
		}
	case "digest":
		p.r.Digest, err = p.digest()
	default:
		err = fmt.Errorf("%q is unknown", name)
	}
	return err
}

func (p *lineParser) digest() ([]byte, error) {
	s, err := text[string](p, "digest")
	if err != nil {
		return nil, err
	}
	digest, err := hex.DecodeString(s)
	if err != nil || len(digest) == 0 {
		return nil, errors.New("digest is not in hexadecimal, or empty")
	}
	return digest, nil
}

func (p *lineParser) id() (uuid.UUID, error) {
	s, err := p.reader.text("the id", shortText)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return uuid.Nil, fmt.Errorf("%s is not a UUID", quote.Name(s))
	}
	if id == uuid.Nil {
		return uuid.Nil, errors.New("is zero")
	}
	return id, nil
}

// time takes a time. It refuses one finer than nanoseconds, which would be cut.
func (p *lineParser) time() (time.Time, error) {
	s, err := p.reader.text("the time", shortText)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	_, fraction, _ := strings.Cut(s, ".")
	digits := strings.IndexFunc(fraction, func(c rune) bool { return c < '0' || c > '9' })
	if err != nil || digits > 9 || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("%q is not a time of RFC 3339 with at most nine decimals", s)
	}
	return t.UTC(), nil
}

func (p *lineParser) tags() ([]eventstore.Tag, error) {
	var tags []eventstore.Tag
	err := p.reader.array(func() error {
		if len(tags) == p.limits.TagsPerEvent {
			return fmt.Errorf("more than %d tags", p.limits.TagsPerEvent)
		}
		tag, err := text[eventstore.Tag](p, "tag")
		tags = append(tags, tag)
		return err
	})
	if err == nil {
		if tag, twice := record.Twice(tags); twice {
			err = fmt.Errorf("%q occurs twice", tag)
		}
	}
	return tags, err
}

func (p *lineParser) metadataField(name string) error {
	if p.r.Event.Metadata == nil {
		p.r.Event.Metadata = make(eventstore.Metadata)
	}
	if _, twice := p.r.Event.Metadata[name]; twice {
		return fmt.Errorf("%s occurs twice", quote.Name(name))
	}
	if name == "" {
		return errors.New("a key is empty")
	}
	left := p.limits.MetadataBytes - p.metadata - len(name)
	if left < 0 {
		return tooLong("the metadata", p.limits.MetadataBytes)
	}
	value, err := p.reader.text("a value", left)
	if errors.As(err, new(*sizeError)) {
		return tooLong("the metadata", p.limits.MetadataBytes)
	}
	if err != nil {
		return err
	}
	p.metadata += len(name) + len(value)
	p.r.Event.Metadata[name] = value
	return nil
}

func (p *lineParser) base64() ([]byte, error) {
	s, err := p.reader.text("the payload", base64.StdEncoding.EncodedLen(p.limits.PayloadBytes))
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(data) > p.limits.PayloadBytes {
		return nil, tooLong("the payload", p.limits.PayloadBytes)
	}
	return data, nil
}

// complete checks rules about several fields, and fills in fields that were left out.
func (p *lineParser) complete() error {
	e := &p.r.Event
	for _, name := range []string{"position", "commit", "commit.i", "commit.n", "id", "type", "recorded"} {
		if !p.seen[name] {
			return fmt.Errorf("field %q is missing", name)
		}
	}
	if !p.seen["time"] {
		e.Time = e.Recorded
	}
	if e.Data == nil {
		e.Data = []byte{}
	}
	switch place := p.r.Place; {
	case e.Position == 0:
		return errors.New("position 0 is before the first")
	case (e.Stream == "") != (e.Version == 0) || p.seen["stream"] != p.seen["version"]:
		return fmt.Errorf("version %d of stream %q", e.Version, e.Stream)
	case place.I >= place.N:
		return fmt.Errorf("event %d of a commit of %d", place.I, place.N)
	case p.r.Key != "" && place.I > 0:
		return fmt.Errorf("event %d of a commit has the commit's key", place.I)
	case len(p.r.Digest) > 0 && p.r.Key == "":
		return errors.New("there is a digest and no key")
	case p.seen["data"] && p.seen["data_base64"]:
		return errors.New(`there are both fields "data" and "data_base64"`)
	case e.Recorded.Year() < 1678 || e.Recorded.Year() > 2261:
		return fmt.Errorf("recorded at %v, outside the years 1678 to 2261", e.Recorded)
	case e.Time.IsZero():
		return errors.New("the time is the zero time, which means none")
	}
	return nil
}

// MaxLine returns an upper bound, in bytes, of the line of an event within the limits,
// with every byte written in the longest way and some spaces.
func MaxLine(l eventstore.Limits) int {
	const escaped, fields = 6, 4096
	names := (l.TagsPerEvent + 4) * (escaped*l.NameBytes + 4)
	metadata := 2 * escaped * l.MetadataBytes // an entry of one byte takes twelve
	return base64.StdEncoding.EncodedLen(l.PayloadBytes) + metadata + names + fields
}

func number[N ~int | ~uint32 | ~uint64](r *jsonReader, limit uint64) (N, error) {
	n, err := r.number(limit)
	return N(n), err
}

// text takes a name of the contract.
func text[S ~string](p *lineParser, what string) (S, error) {
	s, err := p.reader.text("the "+what, p.limits.NameBytes)
	return S(s), err
}
