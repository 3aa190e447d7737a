package codectest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compare describes the differences between recorded and today, one a line.
func compare(recorded, today []event) []string {
	if len(recorded) != len(today) {
		return []string{fmt.Sprintf("recorded %s, today %s", names(recorded), names(today))}
	}
	var d differences
	for i := range recorded {
		at := ""
		if len(recorded) > 1 {
			at = fmt.Sprintf("event %d: ", i+1)
		}
		d.event(at, recorded[i], today[i])
	}
	return d
}

func names(events []event) string {
	if len(events) == 0 {
		return "no event"
	}
	var keys []string
	for _, e := range events {
		keys = append(keys, key{e.Name, e.Version}.String())
	}
	return strings.Join(keys, ", ")
}

type differences []string

func (d *differences) addf(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *differences) event(at string, recorded, today event) {
	was, is := key{recorded.Name, recorded.Version}, key{today.Name, today.Version}
	if was != is {
		d.addf("%srecorded %v, today %v", at, was, is)
	}
	d.json(at+"data", decode(recorded.Data), decode(today.Data))
	if !slices.Equal(recorded.Tags, today.Tags) {
		d.addf("%stags: recorded %q, today %q", at, recorded.Tags, today.Tags)
	}
}

// decode decodes JSON to Go values and keeps the digits of numbers. The data was
// encoded before, so it is valid.
func decode(data []byte) any {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return err.Error()
	}
	return value
}

func (d *differences) json(path string, recorded, today any) {
	switch was := recorded.(type) {
	case map[string]any:
		if is, ok := today.(map[string]any); ok {
			d.objects(path, was, is)
			return
		}
	case []any:
		if is, ok := today.([]any); ok {
			d.arrays(path, was, is)
			return
		}
	}
	if text(recorded) != text(today) {
		d.addf("%s: recorded %s, today %s", path, text(recorded), text(today))
	}
}

func (d *differences) objects(path string, recorded, today map[string]any) {
	fields := maps.Clone(recorded)
	maps.Copy(fields, today)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		was, recorded := recorded[field]
		is, there := today[field]
		switch at := path + "." + field; {
		case !there:
			d.addf("%s: recorded %s, today missing", at, text(was))
		case !recorded:
			d.addf("%s: not recorded, today %s", at, text(is))
		default:
			d.json(at, was, is)
		}
	}
}

func (d *differences) arrays(path string, recorded, today []any) {
	if len(recorded) != len(today) {
		d.addf("%s: recorded %s, today %s", path, text(recorded), text(today))
		return
	}
	for i := range recorded {
		d.json(fmt.Sprintf("%s[%d]", path, i), recorded[i], today[i])
	}
}

func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
